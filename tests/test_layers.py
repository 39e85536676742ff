"""The house has one direction: an import may only go down, and some things are never imported."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kptkit

ROOT = Path(__file__).parent.parent

# A wing is a folder of kptkit/ or a file in its root. Each may import itself and the wings named
# here; those of the layer of work, also what stands before them in their list.
GROUND = {
    *("errors", "checks", "system", "files", "sealed", "arrays", "reading", "quiet", "foreign"),
    *("conventions", "fields", "wording"),
    *("geometry", "images", "skeletons"),
}
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
    "options": GROUND,
    "flags": GROUND | {"options"},
    "commands": BELOW_WORK.union(WORK, {"serving", "flags"}),
    # Commands are imported by their name, when they are started.
    "cli": {"errors", "wording"},
    "__main__": {"cli"},
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
    if wing == "__init__":  # the front door, tested below: it imports only what is asked for
        return
    assert wing in MAY_IMPORT, f"kptkit/{wing}: stands in no layer of tests/test_layers.py"
    allowed = MAY_IMPORT[wing] | {wing}
    if path.name == "__init__.py":
        allowed = {wing} | FACES.get(wing, set())
    above = own_imports(path) - allowed
    assert not above, f"kptkit.{module_of(path)} imports {', '.join(sorted(above))}, above itself"


def test_every_wing_has_its_layer_and_none_is_left_over():
    wings = {module_of(path).split(".")[0] for path in FILES} - {"__init__"}
    planned = {"person"}
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
        "import sys, kptkit; assert 'PoseEstimator' in dir(kptkit); "
        "print({name.split('.')[0] for name in sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"tensorflow", "keras", "numpy", "cv2"} & ast.literal_eval(out.stdout)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kptkit.nothing  # noqa: B018


def test_editors_see_what_the_front_door_gives():
    """The imports for type checkers are those that `__getattr__` makes."""
    tree = ast.parse((ROOT / "kptkit/__init__.py").read_text())
    block = next(
        n for n in tree.body if isinstance(n, ast.If) and not isinstance(n.test, ast.UnaryOp)
    )
    names = {alias.name for node in block.body for alias in node.names}
    assert names == set(kptkit.__all__) - {"__version__"}
    assert names <= set(dir(kptkit))
    for node in block.body:
        for alias in node.names:
            found, home = getattr(kptkit, alias.name), importlib.import_module(node.module)
            assert found is getattr(home, alias.name)
    assert (ROOT / "kptkit/py.typed").is_file()


KERAS_FREE = {
    *(
        "__init__",
        "__main__",
        "cli",
        "errors",
        "checks",
        "flags",
        "conventions",
        "runs",
        "system",
        "files",
    ),
    *(
        "sealed",
        "reading",
        "quiet",
        "foreign",
        "fields",
        "wording",
        "models.sizes",
        "data.pose_flags",
        "data.faces.flags",
    ),
    *("data.augment.settings", "data.mining.settings", "export.target", "weights.known"),
}


def at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, those for type checkers left out."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not isinstance(node, ast.FunctionDef):
            yield node
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from at_once(getattr(node, part, []))


def imports_at_once(name: str) -> set[str]:
    """The modules that a module imports when it is imported, directly or not."""
    found, waiting = set(), [name]
    while waiting:
        path = ROOT / "kptkit" / Path(*waiting.pop().split("."))
        path = (
            path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        )
        if not path.is_file():
            continue
        for node in at_once(ast.parse(path.read_text(encoding="utf-8")).body):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for new in set(names) - found:
                found.add(new)
                if new.startswith("kptkit."):
                    parts = new.removeprefix("kptkit.").split(".")
                    waiting += [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_flags_recipes_and_runs_import_no_keras(path):
    """So that `--help` is quick; what a command needs besides is imported when it is called."""
    name = module_of(path)
    wing = name.split(".")[0]
    if (
        name in KERAS_FREE
        or wing in {"commands", "options", "recipes", "skeletons"}
        or name.endswith("flags")
    ):
        heavy = imports_at_once(name) & {"keras", "tensorflow", "numpy", "cv2", "scipy", "tqdm"}
        assert not heavy, f"kptkit.{name} imports {', '.join(sorted(heavy))} at once"


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
    [
        *("encode", "decode", "losses", "network"),
        *("models/hrnet", "models/hourglass", "models/mtcnn", "models/blocks"),
    ],
)
def test_maths_and_models_run_on_any_backend(name):
    found = {n.split(".")[0] for n in imports_of(ROOT / "kptkit" / f"{name}.py")}
    assert not found & {"tensorflow", "jax", "torch"}
