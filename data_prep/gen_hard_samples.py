"""Mines R-Net's and O-Net's crops: what the cascade so far takes for faces, rightly or not.

    python data_prep/gen_hard_samples.py --stage rnet
    python data_prep/gen_hard_samples.py --stage onet --annotations X.txt --images DIR \\
        --landmarks Y.txt --landmark-images DIR

The first runs P-Net as just trained on the demo set; --detector original or FILE takes another
cascade. The same flags, lists and weights give the same bytes for any number of workers. Stopped at
any moment, the same command goes on.
"""

from kptkit import cli

cli.import_tensorflow_quietly()

from kptkit.data.records.crop_writer import summary
from kptkit.train.mine_faces import HardSamplesConfig, mine_hard_samples, training_command


def main(config: HardSamplesConfig) -> None:
    """Mines, and says what came of it."""
    manifest = mine_hard_samples(config)
    print(f"{config.folder}: {summary(manifest)}")
    print(f"next: {training_command(config.stage, config.folder, config.lists)}")


if __name__ == "__main__":
    cli.run(main, HardSamplesConfig)
