"""What the export command prints of a finished version."""

from pathlib import Path
from typing import Any

from kptkit.export.server_files import SERVER_FILES, docker_run
from kptkit.export.version_folders import MANIFEST
from kptkit.sealed import read_sealed


def print_converted(folder: Path) -> None:
    """Prints inputs, outputs, sizes and differences of LiteRT or ONNX files."""
    for name, difference in print_signatures(folder)["largest_difference"].items():
        values = ", ".join(f"{what} {value:.3g}" for what, value in difference.items())
        size = next(folder.glob(f"{name}.*")).stat().st_size
        print(f"{name}: {size:,} bytes; reloaded and compared, largest differences: {values}")
    print(f"written: {folder}")


def print_signatures(folder: Path) -> dict[str, Any]:
    """Prints the inputs and outputs of an exported version; returns its manifest."""
    manifest = read_sealed(folder / MANIFEST, "export again")
    for name, signature in manifest["signatures"].items():
        print(f"{name}: {_shapes(signature['inputs'])} -> {_shapes(signature['outputs'])}")
    return manifest


def print_saved_model(folder: Path, model: str) -> None:
    """Prints the folder of a version and the command that serves it."""
    server_files = folder.parent / SERVER_FILES
    print(f"to serve it: {docker_run(server_files, {model: folder.parent})}")
    print(f"written: {folder}")


def _shapes(tensors: dict[str, dict]) -> str:
    """The tensors of a signature in one line; N is the batch, ? any size."""
    texts = []
    for name, tensor in tensors.items():
        batch, *sides = tensor["shape"]
        sides = [
            "N" if batch is None else str(batch),
            *("?" if s is None else str(s) for s in sides),
        ]
        texts.append(f"{name} {tensor['dtype']}[{', '.join(sides)}]")
    return ", ".join(texts)
