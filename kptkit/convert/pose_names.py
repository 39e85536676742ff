"""Other projects' pose networks as those of `kptkit.models`: one rule on named arrays.

Layers here are named by the authors' PyTorch paths, so a name stays as it is; ``weight`` of a
convolution becomes ``kernel``, and a normalisation's four arrays get Keras's names. What may be
left out is listed in `Converted.left_out` and nothing else is: an array without a place is refused
by who assigns the others.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from kptkit.errors import InputError
from kptkit.recipes.pose import PoseRecipe

Arrays = dict[str, np.ndarray]

# mmpose's backbone and head, of its versions 0.x and 1.x.
_PREFIXES = {"backbone.": "", "keypoint_head.final_layer.": "final_layer."}
_PREFIXES["head.final_layer."] = "final_layer."
_NORMALISATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# Beside the modules named so, the last module of stage 4 has rows of fusions that only they read.
_CLASSIFIER = re.compile(r"(incre_modules|downsamp_modules|final_layer|classifier)\.")
_LOWER_FUSION = re.compile(r"stage4\.(\d+)\.fuse_layers\.[123]\.")
# The mean and deviation that the networks here have built in, as configurations write them.
_MEANS = ([0.485, 0.456, 0.406], [123.675, 116.28, 103.53])
_DEVIATIONS = ([0.229, 0.224, 0.225], [58.395, 57.12, 57.375])


@dataclass(frozen=True)
class Converted:
    """A network's weights by the paths of its variables, and what of the source is not in them."""

    arrays: Arrays
    """Such as ``stage2.0.branches.0.0.conv1/kernel``."""
    left_out: dict[str, int]
    """How many arrays of each kind have no use here, and why."""


def from_hrnet(state: Arrays, source: str) -> Converted:
    """The weights of the authors' HRNet for keypoints, of mmpose's, or of one for ImageNet.

    Of the latter the features alone are kept; its classifier has no place in a keypoint network.

    Args:
        state: arrays by PyTorch's names, with or without mmpose's prefixes.
        source: their file, for messages.

    Raises:
        InputError: an array is of no kind that HRNet has.
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

    Its residuals have a shortcut's convolution even where widths are equal; nobody reads those.

    Args, returns and raises as `from_hrnet`.
    """
    left_out: Counter[str] = Counter()
    used = {name: array for name, array in state.items() if not _is_unused_shortcut(name, state)}
    if len(used) < len(state):
        left_out["of shortcuts that the network has and does not use"] = len(state) - len(used)
    return _convert(used, left_out, source)


def check_configuration(config: str, recipe: PoseRecipe, source: str) -> None:
    """Compares the configuration beside mmpose's weights with what they are converted for.

    Only numbers and words are looked for in its text; it is never executed.

    Raises:
        InputError: the network was trained on pixels of another normalisation, which no weights
            here could make good at the borders; or by another convention than the recipe's.
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
    if config and is_udp != (recipe.convention == "udp"):
        found = "by UDP's convention" if is_udp else "by the official convention, not UDP's"
        raise InputError(f"{source}: trained {found}; expected that of the recipe it is given")


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
