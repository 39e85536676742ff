"""The file format of an export."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kptkit.errors import InputError
from kptkit.fields import COUNT, Needs

Format = Literal["saved_model", "litert", "onnx"]
Precision = Literal["float32", "float16"]

_CONVERTED = ("format=litert", "format=onnx")


@dataclass(frozen=True)
class Target:
    """Format, precision and batch of an export.

    Raises:
        InputError: the values cannot be combined; the message names them.
    """

    format: Format = "saved_model"
    """saved_model for TensorFlow and TF Serving, litert for phones and small computers, or onnx."""
    precision: Annotated[Precision, Needs(*_CONVERTED)] = "float32"
    """Weights in LiteRT and ONNX files: float16 halves the file size. Arithmetic is in float32."""
    batch_size: Annotated[int | None, COUNT, Needs(*_CONVERTED)] = None
    """Crops per call in LiteRT and ONNX files; default: any number. Some accelerators need a fixed
    number."""

    def __post_init__(self) -> None:
        if self.format == "saved_model" and (self.precision, self.batch_size) != ("float32", None):
            raise InputError(
                "precision and batch_size are for --format litert or onnx; a SavedModel has "
                "weights in float32 and takes any number"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size: {self.batch_size}; expected 1 or more")

    @property
    def folder_name(self) -> str:
        """Default name of the folder of the versions, inside the run folder."""
        if self.format == "saved_model":
            return "export"
        return f"export-{self.format}-{self.precision}"


SAVED_MODEL = Target()
