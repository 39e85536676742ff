"""Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

    python data_prep/gen_pnet_samples.py --annotations wider_face_train_bbx_gt.txt --images DIR \\
        --landmarks trainImageList.txt --landmark-images DIR
    python data_prep/gen_pnet_samples.py

The second mines the demo set, drawn if need be, in half a minute on 2 cores. The same flags and
lists give the same bytes for any number of workers. Stopped at any moment, the same command goes
on.
"""

from kptkit import cli

if __name__ == "__main__":
    # Only here: the processes that mine import this file too, and need nothing of it.
    cli.import_tensorflow_quietly()

    from kptkit.data.records.crop_writer import summary
    from kptkit.train.mine_faces import PnetSamplesConfig, mine_pnet_samples, training_command

    def main(config: PnetSamplesConfig) -> None:
        """Mines, and says what came of it."""
        print(f"{config.out}: {summary(mine_pnet_samples(config))}")
        print(f"next: {training_command('pnet', config.out, config.lists)}")

    cli.run(main, PnetSamplesConfig)
