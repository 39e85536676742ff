"""The sizes of all networks: one table for each architecture.

Imports no Keras, so that recipes and flags can name a row.
"""

from dataclasses import dataclass
from typing import Literal

HRNetVariant = Literal["demo", "w18_small", "w18", "w32", "w48"]
HourglassVariant = Literal["hg1", "hg2", "hg4", "hg8", "hg2_small", "hg2_medium", "hg4_small"]
Variant = HRNetVariant | HourglassVariant
Stage = Literal["pnet", "rnet", "onet"]

# Heatmaps have a quarter of the input's resolution, in all networks that have heatmaps.
STRIDE = 4


@dataclass(frozen=True)
class HRNetSizes:
    """The sizes in which HRNets differ."""

    width: int  # channels of the 1/4 branch; each further branch doubles them
    modules: tuple[int, int, int] = (1, 4, 3)  # exchange modules of stages 2, 3 and 4
    blocks: int = 4  # residual blocks of a branch in one module
    stem: int = 64  # channels of the two stride-2 convolutions and of stage 1's bottlenecks
    bottlenecks: int = 4  # residual blocks of stage 1


# Widths and modules: section 3 of the paper (W32, W48) and the authors' HRNet-Image-Classification
# (W18). `demo` is ours: it learns the demo set on two CPU cores within minutes.
HRNETS: dict[str, HRNetSizes] = {
    "demo": HRNetSizes(width=16, modules=(1, 1, 1), blocks=1, stem=32, bottlenecks=1),
    "w18_small": HRNetSizes(width=18, modules=(1, 1, 1), blocks=2),
    "w18": HRNetSizes(width=18),
    "w32": HRNetSizes(width=32),
    "w48": HRNetSizes(width=48),
}


@dataclass(frozen=True)
class HourglassSizes:
    """The sizes in which stacked hourglasses differ."""

    stacks: int
    features: int = 256  # channels


# Section 3 of the paper. The small and medium ones are ours, for two CPU cores.
HOURGLASSES: dict[str, HourglassSizes] = {
    "hg1": HourglassSizes(1),
    "hg2": HourglassSizes(2),
    "hg4": HourglassSizes(4),
    "hg8": HourglassSizes(8),
    "hg2_small": HourglassSizes(2, features=64),
    "hg2_medium": HourglassSizes(2, features=128),
    "hg4_small": HourglassSizes(4, features=64),
}


@dataclass(frozen=True)
class StageSizes:
    """The sizes in which the networks of MTCNN's cascade differ."""

    size: int  # side of the network's square window, in pixels
    # Of each convolution (unpadded): filters, kernel side, and the side of the max pooling after it
    # (stride 2), 0 without pooling.
    convolutions: tuple[tuple[int, int, int], ...]
    hidden: int  # units of the dense hidden layer; 0 without one, then the heads are convolutions


# Figure 2 of the paper, but with the widths of the authors' published models.
STAGES: dict[Stage, StageSizes] = {
    "pnet": StageSizes(12, ((10, 3, 2), (16, 3, 0), (32, 3, 0)), hidden=0),
    "rnet": StageSizes(24, ((28, 3, 3), (48, 3, 3), (64, 2, 0)), hidden=128),
    "onet": StageSizes(48, ((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0)), hidden=256),
}
