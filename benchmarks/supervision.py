"""Ablation of intermediate supervision: four stacks, demo set, equal steps, several seeds.

    python benchmarks/supervision.py

trains hg4_small with the loss at every stack, and with the loss at the last stack only, and prints
the scores of the last stack on held-out scenes. It takes half an hour on two CPU cores with three
seeds; finished runs are not trained again.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kptkit.reading import read_json
from kptkit.recipes.pose import RECIPES
from kptkit.train.flags import TrainConfig, TrainOptions
from kptkit.train.pose import train_pose

WEIGHTS = {"every stack": (1.0, 1.0, 1.0, 1.0), "last stack only": (0.0, 0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Config:
    """How long to train."""

    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 2
    """Passes over the demo set's 5,424 training persons, 339 steps each."""
    out: Path = Path("runs/supervision")


def main(config: Config) -> None:
    """Trains all runs, one after the other, and prints their held-out PCK@0.2 and AP."""
    rows = {}
    for name, weights in WEIGHTS.items():
        for seed in config.seeds:
            run = config.out / f"{name.replace(' ', '-')}-{seed}"
            recipe = replace(
                RECIPES["hg-demo"],
                variant="hg4_small",
                stack_weights=weights,
                epochs=config.epochs,
                evaluate_every=config.epochs,
            )
            options = TrainOptions(seed=seed)
            train_pose(TrainConfig("hg-demo", recipe, options=options, out=str(run)))
            rows.setdefault(name, []).append(read_json(run / "metrics.json")["last"])
    for metric in ("PCK@0.2", "AP"):
        for name, found in rows.items():
            values = np.array([row[metric] for row in found])
            each = ", ".join(f"{value:.3f}" for value in values)
            print(f"{metric}, loss at {name}: {each}; mean {values.mean():.3f}")


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
