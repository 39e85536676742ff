"""Fixtures for tests throughout the tree."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, each file is run by one of them; so are all that need the trained run.

    So the fixtures of a file are made once, and the run is trained once.
    """
    trained = {item.path for item in items if "workplace" in getattr(item, "fixturenames", ())}
    for item in items:
        group = "trained" if item.path in trained else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(params=["eager", "graph", "xla"])
def compiled(request: pytest.FixtureRequest) -> Callable[[Callable], Callable]:
    """Runs a function as it is, as a TensorFlow graph and through XLA; the test runs once for each.

    Keras's "auto" leaves XLA off on a CPU, so it is asked for.
    """
    import tensorflow as tf

    if request.param == "eager":
        return lambda function: function
    # Without autograph, because that cannot read the source of a lambda over several lines.
    return lambda function: tf.function(
        function, jit_compile=request.param == "xla", autograph=False
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of its own for fetched and converted weights."""
    monkeypatch.setenv("KPTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def grappler() -> Iterator[None]:
    """Turns on again afterwards what training turns off for its process.

    No test is to depend on which others trained before it.
    """
    import tensorflow as tf

    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="session")
def crop_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder of crops of noise: faces are bright, and so is where the box ends.

    Three pictures a part; `of_part(number)` gives the numbers of negatives, positives, parts and
    landmark crops of each of its pictures.
    """
    from kptkit.data.mining.crops import CropKind, Crops, FacePart, ImageCrops
    from kptkit.data.records.crop_writer import write_crops
    from kptkit.samples import FaceSamples

    kinds_in_order = (CropKind.NEGATIVE, CropKind.POSITIVE, CropKind.PART, CropKind.LANDMARK)
    sizes = {"pnet": 12, "rnet": 24, "onet": 48}

    def crops_of(number: int, counts: tuple[int, ...], size: int) -> Crops:
        rng = np.random.default_rng(number)
        kinds = np.repeat(np.array(kinds_in_order, np.int8), counts)
        shows = kinds != CropKind.NEGATIVE
        pixels = (
            rng.integers(0, 120, (len(kinds), size, size, 3)) + 120 * shows[:, None, None, None]
        )
        boxes = rng.uniform(-0.2, 0.2, (len(kinds), 4)).astype(np.float32)
        landmarks = rng.uniform(0.1, 0.9, (len(kinds), 10)).astype(np.float32)
        boxes[~shows] = np.nan
        landmarks[kinds != CropKind.LANDMARK] = np.nan
        return Crops(kinds, pixels.astype(np.uint8), boxes, landmarks)

    def make(
        stage: str = "pnet",
        parts: int = 4,
        of_part: Callable[[int], tuple[int, ...]] = lambda _: (9, 5, 4, 7),
    ) -> Path:
        def make_part(part: FacePart) -> Iterator[ImageCrops]:
            for number in range(part.first_number, part.first_number + 3):
                counts = of_part(part.first_number // 3)
                yield ImageCrops("", number, crops_of(number, counts, sizes[stage]))

        none = np.zeros(0, np.int64)
        samples = FaceSamples(
            ("",) * 3, none, np.zeros((0, 4)), none > 0, np.zeros((0, 5, 2)), complete=True
        )
        folder = tmp_path_factory.mktemp(stage) / "crops"
        plan = {"stage": stage, "size": sizes[stage], "seed": 0, "mining": {}, "made_from": []}
        with contextlib.redirect_stderr(io.StringIO()):
            pieces = [FacePart(3 * number, samples) for number in range(parts)]
            write_crops(folder, plan, pieces, make_part, workers=0)
        return folder

    return make


@pytest.fixture(scope="session")
def cascade_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cascade that has learnt nothing: above scores of 0.6 it takes some of any noise for faces.

    Its boxes stay near the windows that it looks at.
    """
    from kptkit.models.mtcnn import mtcnn
    from kptkit.models.sizes import STAGES
    from kptkit.weights.cascade import save_cascade

    rng = np.random.default_rng(1)
    models = {stage: mtcnn(stage) for stage in STAGES}
    for model in models.values():
        for variable in model.variables:
            if variable.path.endswith("kernel"):
                spread = np.sqrt(2 / np.prod(variable.shape[:-1]))
                spread *= 0.1 if variable.path.startswith("box") else 1
                variable.assign(rng.normal(0, spread, variable.shape))
    path = tmp_path_factory.mktemp("cascade") / "mtcnn.npz"
    save_cascade(path, models)
    return path
