"""Networks side by side: parameters, multiplications and time per crop on this machine.

python benchmarks/sizes.py --variants w18_small hg2_medium --input-size-wh 128 128
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from counting import count_network

from kptkit.models.sizes import Variant
from kptkit.network import PoseNetwork, build_model
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.skeletons.known import COCO_17


@dataclass(frozen=True)
class Config:
    """Which networks, and their input."""

    variants: tuple[Variant, ...] = ("w18_small", "hg2_medium")
    input_size_wh: tuple[int, int] = (128, 128)
    batch_sizes: tuple[int, ...] = (1, 16)
    repeats: int = 9


def main(config: Config) -> None:
    """Prints a row per network; times are medians of alternating calls, including decoding."""
    calls: dict[tuple[str, int], Callable[[], object]] = {}
    width, height = config.input_size_wh
    print("network: parameters, multiplications")
    for variant in config.variants:
        recipe = replace(RECIPES["finetune"], variant=variant, input_size_wh=config.input_size_wh)
        recipe = replace(recipe, flip_test=False)
        model = build_model(recipe, COCO_17.num_keypoints)
        counts = count_network(model)
        print(f"{variant}: {counts.parameters:,}, {counts.macs / 1e6:,.0f} M")
        estimator = PoseEstimator(PoseNetwork(model, recipe, COCO_17))
        for batch in config.batch_sizes:
            crops = tf.zeros((batch, height, width, 3), tf.uint8)
            calls[variant, batch] = lambda e=estimator, c=crops: e.predict_crops(c)
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in calls}
    for turn in range(config.repeats + 1):
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[key].append(time.perf_counter() - start)
    for (variant, batch), times in seconds.items():
        print(f"{variant}, batch {batch}: {np.median(times) / batch * 1e3:.1f} ms a crop")


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
