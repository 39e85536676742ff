"""The model card of an export: its manifest as a readable page."""

from pathlib import Path
from typing import Any

from kptkit.metrics import tables

CARD = Path("assets.extra", "model_card.md")

_UNKNOWN = "not stated; ask those who trained it, and mind the terms of the training pictures"


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown on the inputs, outputs and weights of an export, with their scores.

    Args:
        manifest: the content of `assets.extra/export.json`.
    """
    task = manifest["task"]
    what = {"pose": "Keypoints of people", "face": "Faces and their five landmarks"}[task]
    weights = manifest["weights"]
    parts = [
        f"# {what}: a SavedModel for TensorFlow and TF Serving",
        tables.text_table(
            ["", ""],
            [
                ["weights", weights["source"]],
                ["licence of the weights", weights["licence"] or _UNKNOWN],
                ["score", weights["score"] or "not measured"],
                *([["to cite", weights["cite"]]] if weights["cite"] else []),
                ["written by", f"kptkit {manifest['kptkit']}, TensorFlow {manifest['tensorflow']}"],
                ["differs from its source by", _values(manifest["largest_difference"])],
            ],
        ),
        "## Inputs and outputs",
        "N is the number of pictures, ? what a request decides. Coordinates are pixels of the "
        "upright picture, x to the right and y down; the centre of the top-left pixel is 0 0.",
        *(_signature(name, signature) for name, signature in manifest["signatures"].items()),
        f"A request is refused beyond: {_values(manifest['limits'])}.",
    ]
    if "schema" in manifest:
        parts += ["## Keypoints, in their order", _keypoints(manifest["schema"])]
    settings = {"recipe": "How crops are cut and read", "cascade": "How faces are looked for"}
    for key, title in settings.items():
        if key in manifest:
            rows = [[name, tables.Code(value)] for name, value in manifest[key].items()]
            parts += [f"## {title}", tables.text_table(["setting", "value"], rows)]
    if manifest.get("notes"):
        parts += ["## On the weights", manifest["notes"]]
    return "\n\n".join(parts) + "\n"


def _signature(name: str, signature: dict[str, Any]) -> str:
    rows = [
        [
            side,
            tables.Code(tensor),
            tables.Code(f"{spec['dtype']} {_shape(spec['shape'])}"),
            spec["meaning"],
        ]
        for side, tensors in (("takes", signature["inputs"]), ("gives", signature["outputs"]))
        for tensor, spec in tensors.items()
    ]
    return f"### {tables.code(name)}\n\n" + tables.text_table(
        ["", "tensor", "type and shape", "meaning and unit"], rows
    )


def _shape(sides: list[int | None]) -> str:
    batch, *others = ("?" if side is None else str(side) for side in sides)
    return f"[{', '.join(['N' if batch == '?' else batch, *others])}]"


def _keypoints(schema: dict[str, Any]) -> str:
    names = schema["names"]
    mirror = {a: b for pair in schema["flip_pairs"] for a, b in (pair, pair[::-1])}
    rows = [
        [str(index), name, names[mirror[index]] if index in mirror else "", str(sigma)]
        for index, (name, sigma) in enumerate(zip(names, schema["oks_sigmas"], strict=True))
    ]
    return tables.text_table(["index", "name", "its mirror image", "OKS sigma"], rows)


def _values(values: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        return f"{value:,}" if isinstance(value, int) else f"{value:.2g}"

    return ", ".join(f"{name.replace('_', ' ')} {text(v)}" for name, v in values.items())
