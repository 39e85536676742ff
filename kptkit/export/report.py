"""What the export command prints of a finished version."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kptkit.errors import InputError
from kptkit.export.server_files import SERVER_FILES, docker_run
from kptkit.export.version_folders import MANIFEST
from kptkit.sealed import convert, read_sealed

_ADVICE = "export again"


@dataclass(frozen=True)
class _Tensor:
    dtype: str
    shape: list[int | None]
    meaning: str

    def __post_init__(self) -> None:
        if not self.shape:
            raise InputError("shape: no sides; expected that of the batch at least")


@dataclass(frozen=True)
class _Signature:
    inputs: dict[str, _Tensor]
    outputs: dict[str, _Tensor]


def print_converted(folder: Path) -> None:
    """Prints inputs, outputs, sizes and differences of LiteRT or ONNX files."""
    for name, difference in print_signatures(folder)["largest_difference"].items():
        values = ", ".join(f"{what} {value:.3g}" for what, value in difference.items())
        size = next(folder.glob(f"{name}.*")).stat().st_size
        print(f"{name}: {size:,} bytes; reloaded and compared, largest differences: {values}")
    print(f"written: {folder}")


def print_signatures(folder: Path) -> dict[str, Any]:
    """Prints the inputs and outputs of an exported version; returns its manifest."""
    manifest = read_sealed(folder / MANIFEST, _ADVICE)
    place = f"{folder / MANIFEST}: signatures"
    signatures = convert(manifest.get("signatures"), dict[str, _Signature], place, _ADVICE)
    for name, signature in signatures.items():
        print(f"{name}: {_shapes(signature.inputs)} -> {_shapes(signature.outputs)}")
    return manifest


def print_saved_model(folder: Path, model: str) -> None:
    """Prints the folder of a version and the command that serves it."""
    server_files = folder.parent / SERVER_FILES
    print(f"to serve it: {docker_run(server_files, {model: folder.parent})}")
    print(f"written: {folder}")


def _shapes(tensors: dict[str, _Tensor]) -> str:
    """The tensors of a signature in one line; N is the batch, ? any size."""
    texts = []
    for name, tensor in tensors.items():
        batch, *sides = tensor.shape
        shown = ["N" if batch is None else str(batch)]
        shown += ["?" if side is None else str(side) for side in sides]
        texts.append(f"{name} {tensor.dtype}[{', '.join(shown)}]")
    return ", ".join(texts)
