"""Converts other projects' pose weights for `kptkit.models`: one rule on named arrays.

Layers here are named by the authors' PyTorch paths, so names stay; only ``weight`` of a convolution
becomes ``kernel``, and the four arrays of a batch normalisation get Keras's names. Arrays that are
left out are counted in `Converted.left_out`; any other array without a variable is refused when the
weights are assigned.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from kptkit.errors import InputError
from kptkit.recipes.pose import PoseRecipe

Arrays = dict[str, np.ndarray]

# Prefixes of mmpose's backbone and head, versions 0.x and 1.x.
_PREFIXES = {"backbone.": "", "keypoint_head.final_layer.": "final_layer."}
_PREFIXES["head.final_layer."] = "final_layer."
_NORMALISATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# The last module of stage 4 also has fusion rows that only these modules read.
_CLASSIFIER = re.compile(r"(incre_modules|downsamp_modules|final_layer|classifier)\.")
_LOWER_FUSION = re.compile(r"stage4\.(\d+)\.fuse_layers\.[123]\.")
# The built-in normalisation of the networks here, as configurations write it.
_MEANS = ([0.485, 0.456, 0.406], [123.675, 116.28, 103.53])
_DEVIATIONS = ([0.229, 0.224, 0.225], [58.395, 57.12, 57.375])


@dataclass(frozen=True)
class Converted:
    """A network's weights by the paths of its variables, and what was left out of the source."""

    arrays: Arrays
    """By path, such as ``stage2.0.branches.0.0.conv1/kernel``."""
    left_out: dict[str, int]
    """Number of unused arrays by kind; the kind says why."""


def from_hrnet(state: Arrays, source: str) -> Converted:
    """The weights of an HRNet: the authors' or mmpose's for keypoints, or one for ImageNet.

    Of the latter only the backbone is kept; a keypoint network has no classifier.

    Args:
        state: arrays by PyTorch's names, with or without mmpose's prefixes.
        source: the file, for error messages.

    Raises:
        InputError: HRNet has no array of that kind.
    """
    state = {_without_prefix(name): array for name, array in state.items()}
    left_out: Counter[str] = Counter()
    if any(name.startswith("incre_modules.") for name in state):
        last = max((int(m[1]) for m in map(_LOWER_FUSION.match, state) if m), default=0)
        for name in list(state):
            fusion = _LOWER_FUSION.match(name)
            if _CLASSIFIER.match(name) or (fusion and int(fusion[1]) == last):
                del state[name]
                left_out["of the ImageNet classifier"] += 1
    return _convert(state, left_out, source)


def from_hourglass(state: Arrays, source: str) -> Converted:
    """The weights of princeton-vl/pytorch_stacked_hourglass.

    Its residual blocks have a shortcut convolution even where widths are equal; those are unused.

    Args, returns and raises as `from_hrnet`.
    """
    left_out: Counter[str] = Counter()
    used = {name: array for name, array in state.items() if not _is_unused_shortcut(name, state)}
    if len(used) < len(state):
        left_out["of shortcuts that the network has and does not use"] = len(state) - len(used)
    return _convert(used, left_out, source)


def check_configuration(config: str, recipe: PoseRecipe, source: str) -> None:
    """Compares the configuration beside mmpose's weights with the recipe they are converted for.

    The text is searched for numbers and words; it is never executed.

    Raises:
        InputError: the network was trained with another pixel normalisation, which cannot be
            absorbed into the weights at image borders; or with another convention than the recipe.
    """
    for word, known in (("mean", _MEANS), ("std", _DEVIATIONS)):
        for found in re.findall(rf"\b{word}\s*=\s*\[([^\]]*)\]", config):
            if [float(x) for x in re.findall(r"\d+(?:\.\d+)?", found)] not in list(known):
                raise InputError(
                    f"{source}: trained on pixels of {word} [{found}]; expected ImageNet's, "
                    f"{known[0]}"
                )
    if re.search(r"['\"]combined['\"]|CombinedTarget", config):
        raise InputError(f"{source}: its maps hold offsets (UDP combined); expected heatmaps")
    is_udp = "UDPHeatmap" in config or re.search(r"use_udp['\"]?\s*[=:]\s*True", config) is not None
    found = "udp" if is_udp else "official"
    if config and found != recipe.convention:
        raise InputError(
            f"{source}: mmpose trained it by the convention {found}; the recipe has "
            f"{recipe.convention}, expected a recipe of the same"
        )


def _is_unused_shortcut(name: str, state: Arrays) -> bool:
    layer = name.rpartition(".")[0]
    kernel = state.get(f"{layer}.weight")
    return (
        layer.endswith(".skip_layer.conv")
        and kernel is not None
        and kernel.ndim == 4
        and kernel.shape[0] == kernel.shape[1]
    )


def _without_prefix(name: str) -> str:
    for prefix, replacement in _PREFIXES.items():
        if name.startswith(prefix):
            return replacement + name.removeprefix(prefix)
    return name


def _convert(state: Arrays, left_out: Counter[str], source: str) -> Converted:
    arrays = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            left_out["counters of batches"] += 1
        elif f"{layer}.running_mean" in state and kind in _NORMALISATION and array.ndim == 1:
            arrays[f"{layer}/{_NORMALISATION[kind]}"] = array
        elif kind == "weight" and array.ndim == 4:
            arrays[f"{layer}/kernel"] = array.transpose(2, 3, 1, 0)
        elif kind == "bias" and array.ndim == 1:
            arrays[f"{layer}/bias"] = array
        else:
            raise InputError(
                f"{source}: {name}: shape {array.shape}; expected arrays of convolutions and "
                "normalisations"
            )
    return Converted(arrays, dict(left_out))
