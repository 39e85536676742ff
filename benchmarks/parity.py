"""Converted networks compared with the authors' own code in PyTorch, at full width.

    git clone https://github.com/leoxiaobin/deep-high-resolution-net.pytorch hrnet
    git clone https://github.com/princeton-vl/pytorch_stacked_hourglass hourglass
    pip install -e ".[weights]"
    python benchmarks/parity.py --hrnet hrnet --hourglass hourglass

takes a minute on 2 cores. Weights and batch statistics are random; networks without a clone are
left out. It prints the largest difference of heatmap pixels, as a share of the largest pixel (1e-5
wanted), and the share of peaks at the same pixel. The clones' model files are executed, so give
clones that you trust.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kptkit.convert.pose_names import Converted, from_hourglass, from_hrnet
from kptkit.errors import InputError
from kptkit.models.blocks import IMAGENET_MEAN, IMAGENET_STD
from kptkit.models.hourglass import hourglass
from kptkit.models.hrnet import hrnet
from kptkit.models.sizes import HRNETS
from kptkit.weights.assign import assign_weights

NUM_KEYPOINTS = 17
WANTED = 1e-5


@dataclass(frozen=True)
class Config:
    """Where the authors' files are."""

    hrnet: Path | None = None
    """A clone of leoxiaobin/deep-high-resolution-net.pytorch."""
    hourglass: Path | None = None
    """A clone of princeton-vl/pytorch_stacked_hourglass."""
    crops: int = 2


def main(config: Config) -> None:
    if config.hrnet:
        module = authors_module(config.hrnet / "lib", "models.pose_hrnet")
        for variant in ("w32", "w48"):
            theirs = module.PoseHighResolutionNet(hrnet_settings(variant))
            ours = hrnet(NUM_KEYPOINTS, variant)
            compare(variant, ours, theirs, from_hrnet, config.crops, imagenet=True)
    if config.hourglass:
        module = authors_module(config.hourglass, "models.posenet")
        for variant, stacks in (("hg2", 2), ("hg8", 8)):
            theirs = module.PoseNet(stacks, 256, NUM_KEYPOINTS)
            ours = hourglass(NUM_KEYPOINTS, variant, (256, 256))
            compare(variant, ours, theirs, from_hourglass, config.crops, imagenet=False)


def authors_module(folder: Path, name: str) -> Any:
    """Imports a module of a clone."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one of a clone of the authors' code")
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "models"]:
        del sys.modules[loaded]  # both projects use this name
    sys.path.insert(0, str(folder))
    try:
        # Not through the package, whose __init__ imports more than needed.
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def hrnet_settings(variant: str) -> dict[str, Any]:
    """The settings of a network in the authors' YAML files."""
    sizes = HRNETS[variant]
    extra: dict[str, Any] = {"FINAL_CONV_KERNEL": 1, "PRETRAINED_LAYERS": ["*"]}
    for branches, modules in zip((2, 3, 4), sizes.modules, strict=True):
        extra[f"STAGE{branches}"] = {
            "NUM_MODULES": modules,
            "NUM_BRANCHES": branches,
            "BLOCK": "BASIC",
            "NUM_BLOCKS": [4] * branches,
            "NUM_CHANNELS": [sizes.width << index for index in range(branches)],
            "FUSE_METHOD": "SUM",
        }
    return {"MODEL": {"EXTRA": extra, "NUM_JOINTS": NUM_KEYPOINTS}}


def compare(
    name: str,
    ours: keras.Model,
    theirs: Any,
    convert: Callable[[dict[str, np.ndarray], str], Converted],
    crops: int,
    imagenet: bool,
) -> None:
    """Prints the differences between two networks with the same random weights."""
    import torch

    rng = np.random.default_rng(0)
    state = {
        n: drawn(n, x.numpy(), theirs.state_dict(), rng) for n, x in theirs.state_dict().items()
    }
    theirs.load_state_dict({n: torch.from_numpy(x) for n, x in state.items()})
    assign_weights(ours, convert(state, name).arrays, name)

    pixels = rng.integers(0, 256, (crops, *ours.input_shape[1:])).astype(np.float32)
    scaled = pixels / 255
    if imagenet:
        scaled = ((scaled - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)
    with torch.no_grad():
        inputs = scaled if not imagenet else scaled.transpose(0, 3, 1, 2)
        expected = theirs.train(False)(torch.from_numpy(np.ascontiguousarray(inputs))).numpy()
    expected = np.moveaxis(expected, -3, -1)
    found = np.asarray(ours(pixels, training=False))
    apart = np.abs(found - expected).max() / np.abs(expected).max()
    peaks = [
        x.reshape(-1, np.prod(x.shape[-3:-1]), NUM_KEYPOINTS).argmax(1) for x in (found, expected)
    ]
    same = (peaks[0] == peaks[1]).mean()
    print(f"{name}: {apart:.1e} (wanted: {WANTED:.0e}), {same:.1%} of the peaks at the same pixel")


def drawn(
    name: str, array: np.ndarray, state: dict[str, Any], rng: np.random.Generator
) -> np.ndarray:
    """Random values for a named array, scaled so that outputs neither vanish nor explode."""
    layer, _, kind = name.rpartition(".")
    if kind == "num_batches_tracked":
        return array
    if kind == "running_var":
        values = rng.uniform(0.5, 2, array.shape)
    elif kind == "weight" and f"{layer}.running_mean" in state:
        values = rng.uniform(0.4, 0.9, array.shape)
    elif kind == "weight":
        values = rng.normal(0, np.sqrt(2 / np.prod(array.shape[1:])), array.shape)
    else:
        values = rng.normal(0, 0.1, array.shape)
    return values.astype(np.float32)


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
