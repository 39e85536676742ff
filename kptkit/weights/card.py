"""The card of published weights: origin, recipe and keypoints, as JSON inside their file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.recipes.pose import PoseRecipe
from kptkit.runs import PoseRun
from kptkit.skeletons.schema import KeypointSchema


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
        try:
            content = json.loads(text)
            origin = Origin(**{name: str(value) for name, value in content["origin"].items()})
            run = PoseRun.from_settings(Path(), content) if "recipe" in content else None
            recipe, schema = (run.recipe, run.schema) if run else (None, None)
            return cls(str(content["network"]), origin, recipe, schema)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{source}: its card was not written by kptkit ({error!r}); convert the weights "
                "again"
            ) from None
