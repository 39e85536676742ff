"""The card of published weights: origin, recipe and keypoints, as JSON inside their file."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.reading import parse_json
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun
from kptkit.sealed import convert
from kptkit.skeletons.schema import KeypointSchema

_MOST_LETTERS = 2000
_ADVICE = "convert the weights again"
_NETWORK = re.compile(r"[\w.\-]{1,100}")


@dataclass(frozen=True)
class Origin:
    """Where weights come from and the score their authors report."""

    source: str
    """Name of the file that was converted, or of the project that published it."""
    sha256: str = ""
    """SHA-256 of that file."""
    score: str = ""
    """The score measured by its authors."""
    cite: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for name in asdict(self):
            if len(getattr(self, name)) > _MOST_LETTERS:
                raise InputError(f"{name}: more than {_MOST_LETTERS:,} letters")


@dataclass(frozen=True)
class WeightsCard:
    """What is needed to use the weights of a pose network as their authors did."""

    network: str
    """Name of the Keras model that the weights fit, such as ``hrnet_w32``."""
    origin: Origin
    recipe: PoseRecipe | None = None
    """Input size, convention, target, decoder, flip test; None: a backbone without a head."""
    schema: KeypointSchema | None = None

    def to_json(self) -> str:
        """The text that is stored in the file."""
        content: dict[str, Any] = {"network": self.network, "origin": asdict(self.origin)}
        if self.recipe and self.schema:
            content |= PoseRun(Path(), self.recipe, self.schema, {}).settings()
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str, source: str) -> "WeightsCard":
        """The card that `to_json` wrote.

        Raises:
            InputError: `text` is not a card; `source` names the file in the message.
        """
        card = convert(parse_json(text, place := f"{source}: card"), _Card, place, _ADVICE)
        return cls(card.network, card.origin, card.recipe, card.schema)


@dataclass(frozen=True)
class _Card:
    """The content of a card."""

    network: str
    origin: Origin
    recipe: PoseRecipe | None = None
    schema: KeypointSchema | None = None
    # Those of the run, as a card stores them; weights have no data of their own.
    data: dict[str, Any] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NETWORK.fullmatch(self.network):
            raise InputError(f"network: {self.network!r}; expected the name of a network")
        if (self.recipe is None) != (self.schema is None):
            raise InputError("recipe: expected a recipe and a schema, or neither")
