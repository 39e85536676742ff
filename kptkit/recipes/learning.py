"""How a network is trained: the constants shared by the recipes of all networks.

Keras's defaults differ from PyTorch's, so no constant is left to a library default: everything
that affects a result is a field of a recipe and is written to the run's `config.json`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from kptkit.checks import check_range
from kptkit.errors import InputError
from kptkit.fields import Needs

# Far beyond any training; larger numbers, also those of other people's run folders, are mistakes.
MOST = {"batch_size": 65_536, "epochs": 1_000_000, "evaluate_every": 1_000_000}
MOST_STEPS = 1_000_000_000
MOST_DROPS = 1000


@dataclass(frozen=True)
class Learning:
    """How a network is trained; recipes add the network and its training targets."""

    learning_rate: float = 1e-3
    """Peak learning rate."""
    optimizer: Literal["adam", "rmsprop", "momentum"] = "adam"
    """Adam (betas 0.9 and 0.999) or RMSprop (rho 0.99), both with epsilon 1e-8 as in PyTorch; or
    gradient descent with momentum 0.9, as in Caffe."""
    schedule: Literal["step", "cosine"] = "step"
    """How the learning rate falls: in steps at --learning-rate-drops, or along half a cosine."""
    learning_rate_drops: Annotated[tuple[float, ...], Needs("schedule=step")] = (170, 200)
    """For the step schedule: epochs after which the learning rate is divided by 10."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises to its peak at the start."""
    batch_size: int = 128
    """Samples of a step; at most as many as there are to learn from."""
    epochs: int = 210
    """How often every sample is seen."""
    evaluate_every: int = 1
    """Epochs between evaluations; the last epoch is always evaluated."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights that is evaluated and exported; 0: no average."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Arithmetic of training: mixed_bfloat16 is faster on recent GPUs and needs half the memory."""

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            check_range(name, getattr(self, name), 1, most, whole=True)
        check_range("warmup_steps", self.warmup_steps, 0, MOST_STEPS, whole=True)
        check_range("learning_rate", self.learning_rate, 0, 1000, above=True)
        if len(self.learning_rate_drops) > MOST_DROPS:
            raise InputError(f"learning_rate_drops: more than {MOST_DROPS} numbers")
        for epoch in self.learning_rate_drops:
            check_range("learning_rate_drops", epoch, 0, MOST["epochs"])
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay: {self.ema_decay}; expected 0 to below 1")
