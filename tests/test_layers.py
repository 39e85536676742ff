"""The house has one direction: an import may only go down, and some things are never imported."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import kptkit

ROOT = Path(__file__).parent.parent

# A wing is a folder of kptkit/ or a file in its root. Each may import itself and the wings named
# here; those of the layer of work, also what stands before them in their list.
GROUND = {"errors", "files", "reading", "geometry", "images", "skeletons"}
MATHS = {"encode", "decode", "losses"}
DATA = {"samples", "data", "demo"}
BELOW_WORK = GROUND | MATHS | DATA | {"models", "metrics"}
WORK = (
    *("recipes", "runs", "network", "weights", "convert", "opener"),
    *("pose", "person", "face", "people", "evaluate", "inspect", "export", "train"),
)
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "encode": GROUND,
    "decode": GROUND,
    "losses": GROUND | {"encode"},
    "models": set(),
    **dict.fromkeys(DATA, GROUND | DATA),
    "metrics": GROUND | {"samples"},
    **{wing: BELOW_WORK.union(WORK[:place]) for place, wing in enumerate(WORK)},
    "serving": BELOW_WORK.union(WORK),
    **dict.fromkeys(("cli", "commands"), BELOW_WORK.union(WORK, {"serving", "cli"})),
}
# `kptkit.weights.load` is a kept name of the opener's; it is imported when it is asked for.
FACES = {"weights": {"opener"}}

FILES = sorted((ROOT / "kptkit").rglob("*.py"))
COMMANDS = [p for f in ("scripts", "data_prep", "benchmarks") for p in (ROOT / f).glob("*.py")]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "kptkit").with_suffix("").parts)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(path: Path) -> set[str]:
    """The wings of kptkit that a file imports."""
    names = (name.split(".") for name in imports_of(path))
    wings = {parts[1] for parts in names if parts[0] == "kptkit" and len(parts) > 1}
    return wings - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    wing = module_of(path).split(".")[0]
    if wing == "__init__":  # the front door, which imports only what is asked for
        assert not own_imports(path)
        return
    assert wing in MAY_IMPORT, f"kptkit/{wing}: stands in no layer of tests/test_layers.py"
    allowed = MAY_IMPORT[wing] | {wing}
    if path.name == "__init__.py":
        allowed = {wing} | FACES.get(wing, set())
    above = own_imports(path) - allowed
    assert not above, f"kptkit.{module_of(path)} imports {', '.join(sorted(above))}, above itself"


def test_every_wing_has_its_layer_and_none_is_left_over():
    wings = {module_of(path).split(".")[0] for path in FILES} - {"__init__"}
    planned = {"person", "inspect"}
    assert wings | planned == set(MAY_IMPORT)


@pytest.mark.parametrize(
    "name",
    [
        *("PoseEstimator", "FaceDetector", "PeopleEstimator", "Client", "load"),
        *("losses.HeatmapLoss", "losses.mtcnn_loss", "decode.decode", "encode.encode"),
        *("pose.PoseEstimator", "face.FaceDetector", "people.PeopleEstimator"),
        *("serving.Client", "weights.load"),
    ],
)
def test_public_paths_stay(name):
    module, _, attribute = f"kptkit.{name}".rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_front_door_opens_without_tensorflow():
    code = (
        "import sys, kptkit; heavy = {'tensorflow', 'keras', 'numpy', 'cv2'} & set(sys.modules); "
        "assert 'PoseEstimator' in dir(kptkit); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kptkit.nothing  # noqa: B018


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
    ["encode", "decode", "losses", "models/hrnet", "models/mtcnn", "models/blocks", "network"],
)
def test_maths_and_models_run_on_any_backend(name):
    found = {n.split(".")[0] for n in imports_of(ROOT / "kptkit" / f"{name}.py")}
    assert not found & {"tensorflow", "jax", "torch"}
