"""The house has one direction: an import may only go down, and some things are never imported."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each layer may import itself and what stands above it in this list.
LAYERS = [
    (
        "ground",
        [
            "errors",
            "files",
            "foreign_files",
            "skeletons",
            "known_skeletons",
            "boxes",
            "affine",
            "face_geometry",
        ],
    ),
    ("pictures", ["image_headers", "images"]),
    ("maths", ["encode", "decode", "losses", "area_resize", "suppression"]),
    ("networks", ["models."]),
    ("data", ["data."]),
    ("judges", ["metrics.", "visualize"]),
    (
        "work",
        [
            "recipes",
            "face_recipes",
            "run",
            "known_weights",
            "download",
            "pose_network",
            "weights_card",
            "weights",
            "weights_torch",
            "weights_pose",
            "weights_mtcnn",
            "cascade_weights",
            "convert",
            "checkpoint",
            "optimizer",
            "train_step",
            "train",
        ],
    ),
    (
        "estimators",
        [
            "pose",
            "evaluate",
            "frozen_network",
            "cascade",
            "face_crops",
            "face",
            "people",
            "evaluate_face",
        ],
    ),
    (
        "doors",
        [
            "image_graph",
            "program",
            "pose_program",
            "face_program",
            "export_check",
            "warmup",
            "model_card",
            "versions",
            "serving_files",
            "export",
            "portable",
            "export_litert",
            "export_onnx",
            "portable_check",
            "export_portable",
            "serving_wire",
            "serving",
        ],
    ),
    (
        "commands",
        [
            "train_config",
            "train_pose",
            "mine_face",
            "train_stage",
            "train_face",
            "judge_face",
            "commands",
        ],
    ),
]
FILES = sorted((ROOT / "kptkit").rglob("*.py"))
COMMANDS = [p for f in ("scripts", "data_prep", "benchmarks") for p in (ROOT / f).glob("*.py")]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "kptkit").with_suffix("").parts)


def layer_of(module: str) -> int:
    for index, (_, names) in enumerate(LAYERS):
        for name in names:
            if module == name or (name.endswith(".") and module.startswith(name)):
                return index
    raise AssertionError(f"kptkit.{module} stands in no layer of tests/test_layers.py")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(path: Path) -> set[str]:
    """The kptkit modules a file imports, as paths below kptkit."""
    modules = {module_of(p) for p in FILES}
    found = set()
    for name in imports_of(path):
        if name.startswith("kptkit."):
            parts = name.split(".")[1:]
            found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & modules
    return found


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    if path.name == "__init__.py":
        assert not own_imports(path)
        return
    own = layer_of(module_of(path))
    for name in own_imports(path):
        other = layer_of(name)
        assert other <= own, f"kptkit.{module_of(path)} imports kptkit.{name}, which stands above"
        # Maths and networks stand side by side on the ground.
        assert not (LAYERS[own][0] == "networks" and other < own), "networks import only networks"


@pytest.mark.parametrize("path", FILES + COMMANDS, ids=lambda p: p.stem)
def test_nothing_that_executes_foreign_content(path):
    forbidden = {"pickle", "joblib", "marshal", "dill", "shelve"}
    for name in imports_of(path):
        assert name.split(".")[0] not in forbidden
        assert name.split(".")[0] not in {"scripts", "data_prep", "benchmarks"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            assert called not in {"eval", "exec", "load_model"}
            flags = {k.arg: k.value for k in node.keywords}
            allow = flags.get("allow_pickle")
            assert allow is None or allow.value is False


@pytest.mark.parametrize(
    "name",
    ["encode", "decode", "losses", "models/hrnet", "models/mtcnn", "models/blocks", "pose_network"],
)
def test_maths_and_models_run_on_any_backend(name):
    found = {n.split(".")[0] for n in imports_of(ROOT / "kptkit" / f"{name}.py")}
    assert not found & {"tensorflow", "jax", "torch"}
