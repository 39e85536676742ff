"""The cascade's graph against a loop over windows, on pictures of all sizes, and in threads."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from kptkit.errors import InputError
from kptkit.face import cascade as cascade_module
from kptkit.face.cascade import Cascade
from kptkit.models.mtcnn import mtcnn
from kptkit.models.sizes import STAGES
from kptkit.recipes.cascade import CascadeConfig

# With random weights scores lie close together; these let about half of the windows pass.
THRESHOLDS = (0.52, 0.5, 0.45)


def random_models():
    """Networks that find plenty in noise, and move and shrink boxes moderately."""
    keras.utils.set_random_seed(3)
    models = {stage: mtcnn(stage, landmarks=False) for stage in STAGES}
    for model in models.values():
        for name, spread in [("logits", 0.4), ("box", 0.02)]:
            head = model.get_layer(name)
            head.kernel.assign(keras.random.normal(head.kernel.shape, stddev=spread, seed=4))
    return models


@pytest.fixture(scope="module")
def models():
    return random_models()


@pytest.fixture(scope="module")
def cascade(models):
    return Cascade(models, CascadeConfig(20, 0.6, THRESHOLDS))


@pytest.fixture(scope="module")
def sceptic(models):
    """No window passes any stage."""
    return Cascade(models, CascadeConfig(score_thresholds=(1, 1, 1)))


def noise(height, width, seed=0):
    """Noise at two scales, so that neighbouring windows look different."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), np.uint8)
    fine = rng.integers(-40, 40, (height, width, 3))
    blown_up = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(blown_up + fine, 0, 255).astype(np.uint8)


class LoopCascade:
    """The same detector as loops over levels, cells, boxes and crops."""

    def __init__(self, models, config):
        self.models, self.config = models, config

    def look(self, stage, crop):
        outputs = self.models[stage](np.float32(crop)[None], training=False)
        outputs = {name: np.asarray(value)[0] for name, value in outputs.items()}
        odds = np.exp(outputs["logits"])
        return odds[..., 1] / odds.sum(axis=-1), outputs

    def windows_for_r(self, image):
        found, scale = [], 12 / self.config.min_face_size
        while min(image.shape[:2]) * scale >= 12 - 1e-3:
            height, width = (int(np.ceil(side * scale - 1e-3)) for side in image.shape[:2])
            size_wh = (width, height)
            level = cv2.resize(image.astype(float), size_wh, interpolation=cv2.INTER_AREA)
            scores, outputs = self.look("pnet", np.round(level))
            in_level = []
            for y, x in np.ndindex(scores.shape):
                if scores[y, x] >= self.config.score_thresholds[0]:
                    low = np.ceil(np.array([2 * x, 2 * y]) / scale - 1e-3)
                    high = np.floor(np.array([2 * x + 12, 2 * y + 12]) / scale + 1e-3)
                    window = np.concatenate([low, high])
                    in_level.append((scores[y, x], window, outputs["box"][y, x]))
            found += greedy(in_level, 0.5, "union")
            scale *= self.config.scale_factor
        found = greedy(found, 0.7, "union")
        return squares([moved(window, offsets) for _, window, offsets in found], image)

    def windows_for_o(self, image):
        found = []
        for window in self.windows_for_r(image):
            score, outputs = self.look("rnet", cut(image, window, 24))
            if score > self.config.score_thresholds[1]:
                found.append((score, window, outputs["box"]))
        found = greedy(found, 0.7, "union")
        return squares([moved(window, offsets) for _, window, offsets in found], image)

    def faces(self, image):
        found = []
        for window in self.windows_for_o(image):
            score, outputs = self.look("onet", cut(image, window, 48))
            if score > self.config.score_thresholds[2]:
                side = window[2:] - window[:2]
                points = outputs["landmark"].reshape(5, 2) * side + window[:2] - 0.5
                found.append((score, moved(window, outputs["box"]), points))
        return greedy(found, 0.7, "min")


def moved(window, offsets):
    return window + offsets * np.tile(window[2:] - window[:2], 2)


def squares(boxes, image):
    height, width = image.shape[:2]
    kept = []
    for x1, y1, x2, y2 in boxes:
        half = max(x2 - x1, y2 - y1) / 2
        left, top = np.floor((x1 + x2) / 2 - half), np.floor((y1 + y2) / 2 - half)
        right, bottom = np.floor((x1 + x2) / 2 + half), np.floor((y1 + y2) / 2 + half)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        inside = max(min(right, width) - max(left, 0), 0) * max(
            min(bottom, height) - max(top, 0), 0
        )
        if 8 * inside >= (right - left) ** 2:
            kept.append(np.array([left, top, right, bottom]))
    return kept


def cut(image, window, size):
    left, top, right, bottom = window.astype(int)
    border = max(-left, -top, right - image.shape[1], bottom - image.shape[0], 0)
    bordered = np.pad(image, [(border, border), (border, border), (0, 0)]).astype(float)
    part = bordered[top + border : bottom + border, left + border : right + border]
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)


def greedy(found, threshold, over):
    kept = []
    for candidate in sorted(found, key=lambda row: -row[0]):
        a = candidate[1]
        for _, b, _ in kept:
            sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            common = np.prod(np.maximum(sides, 0))
            areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
            whole = min(areas) if over == "min" else sum(areas) - common
            if common > threshold * whole:
                break
        else:
            kept.append(candidate)
    return kept


@pytest.mark.parametrize("size_hw", [(60, 47), (41, 90)])
def test_is_the_loop_over_windows(models, cascade, size_hw):
    image = noise(*size_hw)
    loop = LoopCascade(models, cascade.config)
    for stage, expected in [
        ("pnet", loop.windows_for_r(image)),
        ("rnet", loop.windows_for_o(image)),
    ]:
        assert len(expected) >= 5
        np.testing.assert_array_equal(cascade.proposals(tf.constant(image), stage), expected)
    faces, expected = cascade(tf.constant(image)), loop.faces(image)
    assert len(expected) >= 3
    np.testing.assert_allclose(faces["scores"], [row[0] for row in expected], atol=1e-4)
    np.testing.assert_allclose(faces["boxes"], [row[1] for row in expected], atol=0.01)
    np.testing.assert_allclose(faces["landmarks"], [row[2] for row in expected], atol=0.01)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 3000), (11, 11), (19, 500), (20, 20), (200, 8000)])
def test_black_pictures_have_no_faces(sceptic, size_hw):
    """Too small ones, long ones, and any picture where no score is high enough."""
    image = tf.zeros((*size_hw, 3), tf.uint8)
    faces = sceptic(image)
    assert {name: rows.shape for name, rows in faces.items()} == {
        "boxes": (0, 4),
        "scores": (0,),
        "landmarks": (0, 5, 2),
    }
    assert all(rows.dtype == tf.float32 for rows in faces.values())
    assert sceptic.proposals(image, "pnet").shape == (0, 4)
    assert sceptic.proposals(image, "rnet").shape == (0, 4)


@pytest.mark.parametrize("thresholds", [(0.5, 1, 0), (0.5, 0.5, 1)])
def test_the_later_stages_may_find_nothing(models, thresholds):
    cascade = Cascade(models, CascadeConfig(20, 0.6, thresholds))
    image = tf.constant(noise(40, 40))
    assert len(cascade.proposals(image, "pnet"))
    assert cascade(image)["boxes"].shape == (0, 4)


def test_neighbouring_levels_compete_for_the_pixels_that_windows_lose(models):
    """Sides of 20 and 20 / 0.83 overlap by 0.69, the whole pixels of 20 and 23 by 0.76."""
    config = CascadeConfig(20, 0.83, (0.5, 1, 1))
    image = noise(60, 47)
    expected = sorted(
        window.tolist() for window in LoopCascade(models, config).windows_for_r(image)
    )
    assert len(expected) > 20
    found = Cascade({"pnet": models["pnet"]}, config).proposals(tf.constant(image), "pnet")
    assert sorted(found.numpy().tolist()) == expected


def test_faces_are_the_best_first(cascade):
    scores = cascade(tf.constant(noise(80, 80)))["scores"].numpy()
    assert len(scores) > 3
    assert np.all(np.diff(scores) <= 0)


def test_tiles_and_chunks_change_nothing(models, cascade, monkeypatch):
    """Odd sides, so that the last tiles are not those inside."""
    image = tf.constant(noise(91, 123))
    expected = cascade(image)
    assert len(expected["scores"]) > 10
    monkeypatch.setattr(cascade_module, "_graphs", {})  # traced with other constants
    monkeypatch.setattr(cascade_module, "_TILE", 5)
    monkeypatch.setattr(cascade_module, "_CHUNKS", {"rnet": 8, "onet": 4})
    faces = Cascade(models, cascade.config)(image)
    for name, rows in expected.items():
        np.testing.assert_allclose(faces[name], rows, atol=0.01)


def test_far_off_boxes_are_dropped(models):
    """Boxes of a thousand sides must not allocate gigabytes of padding."""
    wild = {**models, "pnet": keras.models.clone_model(models["pnet"])}
    wild["pnet"].set_weights(models["pnet"].get_weights())
    head = wild["pnet"].get_layer("box")
    head.bias.assign([-1e3, 0, 1e3, 1e9])
    windows = Cascade(wild, CascadeConfig(20, 0.6, THRESHOLDS)).proposals(
        tf.constant(noise(60, 60)), "pnet"
    )
    assert windows.shape == (0, 4)


@pytest.mark.parametrize(("side", "count"), [(20, 1), (56, 1), (57, 0)])
def test_a_window_shows_the_picture_on_an_eighth_at_least(models, side, count):
    """Of 20 pixels squared, on 56 squared (3136) or on 57 squared (3249): 8 times 400 is 3200."""
    pnet = keras.models.clone_model(models["pnet"])
    pnet.set_weights(models["pnet"].get_weights())
    head = pnet.get_layer("box")
    head.kernel.assign(keras.ops.zeros_like(head.kernel))
    head.bias.assign([0, 0, *[(side + 0.5) / 20 - 1] * 2])
    cascade = Cascade({"pnet": pnet}, CascadeConfig(20, 0.6, (0, 0, 0)))
    windows = cascade.proposals(tf.constant(noise(20, 20)), "pnet")
    assert windows.numpy().tolist() == [[0, 0, side, side]] * count


def test_only_the_best_candidates_go_on(models, monkeypatch):
    monkeypatch.setattr(cascade_module, "_graphs", {})  # traced with other constants
    monkeypatch.setattr(cascade_module, "MAX_CANDIDATES", {"level": 30, "pyramid": 12, "rnet": 5})
    cascade = Cascade(models, CascadeConfig(20, 0.6, (0, 0, 0)))
    image = tf.constant(noise(90, 90))
    assert 5 < len(cascade.proposals(image, "pnet")) <= 12
    assert len(cascade.proposals(image, "rnet")) <= 5


def test_the_candidates_grow_with_the_faces_asked_for(models, monkeypatch):
    """Twenty a face for R-Net and four for O-Net, between those of `_LEAST_FACES` and all."""
    image = tf.constant(noise(90, 90))
    for least, most, bounds in [(1, 2, (40, 8)), (1, 3, (60, 12)), (3, 2, (60, 12))]:
        monkeypatch.setattr(cascade_module, "_LEAST_FACES", least)
        cascade = Cascade(models, CascadeConfig(20, 0.6, (0, 0, 0), max_faces=most))
        found = [len(cascade.proposals(image, stage)) for stage in ("pnet", "rnet")]
        assert bounds[0] - 20 < found[0] <= bounds[0]
        assert bounds[1] - 4 < found[1] <= bounds[1]


@pytest.mark.parametrize("most", [1, 3])
def test_of_many_faces_the_best_are_kept(models, cascade, most):
    image = tf.constant(noise(80, 80))
    everything = cascade(image)
    assert len(everything["scores"]) > 3
    kept = Cascade(models, CascadeConfig(20, 0.6, THRESHOLDS, max_faces=most))(image)
    for name, rows in everything.items():
        np.testing.assert_array_equal(kept[name], rows[:most])


@pytest.mark.parametrize(("shape", "min_face_size"), [((110, 200), 40), ((100, 47), 20)])
def test_beyond_the_longest_side_the_smallest_faces_grow(models, shape, min_face_size):
    """Of 200 pixels only 100 may be searched, so faces of 20 become faces of 40."""
    image = tf.constant(noise(*shape))
    bounded = Cascade(models, CascadeConfig(20, 0.6, THRESHOLDS, max_side=100))
    expected = Cascade(models, CascadeConfig(min_face_size, 0.6, THRESHOLDS))(image)
    assert len(expected["scores"]) > 1
    for name, rows in bounded(image).items():
        np.testing.assert_array_equal(rows, expected[name])


def test_the_smallest_faces_decide_on_the_first_level(models):
    """For faces of 10 px a picture of 10 px is enlarged to one window; for 20 px there is none."""
    image = tf.constant(noise(10, 10))
    for min_face_size, count in [(10, 1), (20, 0)]:
        cascade = Cascade(models, CascadeConfig(min_face_size, 0.6, (0, 0, 0)))
        assert len(cascade.proposals(image, "pnet")) == count


def test_proposals_need_only_the_networks_so_far(models):
    image = tf.constant(noise(50, 50))
    config = CascadeConfig(20, 0.6, THRESHOLDS)
    both = {stage: models[stage] for stage in ("pnet", "rnet")}
    expected = Cascade(models, config).proposals(image, "rnet")
    np.testing.assert_array_equal(Cascade(both, config).proposals(image, "rnet"), expected)
    only_pnet = Cascade({"pnet": models["pnet"]}, config)
    assert len(only_pnet.proposals(image, "pnet"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"min_face_size": 0}, "min_face_size"),
        ({"min_face_size": 9.9}, "min_face_size"),
        ({"min_face_size": float("nan")}, "min_face_size"),
        ({"min_face_size": float("inf")}, "min_face_size"),
        ({"scale_factor": 0}, "scale_factor"),
        ({"scale_factor": 1}, "scale_factor"),
        (
            {"scale_factor": 0.99999},
            "scale_factor: 0.99999, expected .* at most 0.95: each picture",
        ),
        ({"scale_factor": "0.7"}, "scale_factor: '0.7', expected a number"),
        ({"min_face_size": "20"}, "min_face_size: '20', expected a number of at least 10"),
        ({"min_face_size": "a"}, "min_face_size: 'a', expected a number"),
        ({"min_face_size": None}, "min_face_size: None, expected a number"),
        ({"min_face_size": True}, "min_face_size: True, expected a number"),
        ({"score_thresholds": 0.7}, "score_thresholds: 0.7, expected three numbers from 0 to 1"),
        ({"score_thresholds": "abc"}, "score_thresholds: 'abc', expected three"),
        ({"score_thresholds": (0.6, "0.7", 0.7)}, "score_thresholds: '0.7', expected three"),
        ({"scale_factor": -0.5}, "scale_factor"),
        ({"scale_factor": float("nan")}, "scale_factor"),
        ({"score_thresholds": (0.6, float("nan"), 0.7)}, "score_thresholds"),
        ({"score_thresholds": (0.6, 0.7, 1.1)}, "score_thresholds"),
        ({"score_thresholds": (0.6, 0.7)}, "score_thresholds"),
        ({"max_faces": 0}, "max_faces"),
        ({"max_faces": 4001}, "max_faces"),
        ({"max_faces": 2.5}, "max_faces"),
        ({"max_side": 99}, "max_side"),
        ({"max_side": float("inf")}, "max_side"),
        ({"max_side": float("nan")}, "max_side"),
    ],
)
def test_numbers_out_of_range_are_named(changes, field):
    with pytest.raises(InputError, match=f"^{field}"):
        CascadeConfig(**changes)


def test_one_trace_serves_all_sizes_and_settings(models, cascade):
    others = [
        Cascade(models, CascadeConfig(20 + n, 0.5 + n / 20, (0.5, 0.5, n / 4))) for n in range(3)
    ]
    for seed in range(20):
        height, width = np.random.default_rng(seed).integers(1, 90, 2)
        for each in (cascade, *others):
            each(tf.constant(noise(height, width)))
    assert cascade._graph.detect.experimental_get_tracing_count() == 1
    assert {id(each._graph) for each in others} == {id(cascade._graph)}


def test_other_weights_have_another_graph(models, cascade):
    changed = {**models, "onet": mtcnn("onet")}
    assert Cascade(changed, cascade.config)._graph is not cascade._graph
    # Where levels compete, the graph suppresses windows between them.
    assert Cascade(models, CascadeConfig(20, 0.95))._graph is not cascade._graph


def test_threads_share_a_cascade(cascade):
    pictures = [noise(40 + index, 60 - index, seed=index) for index in range(16)]
    expected = [cascade(picture) for picture in pictures]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(cascade, pictures * 4))
    for index, faces in enumerate(found):
        for name, rows in expected[index % 16].items():
            np.testing.assert_array_equal(faces[name], rows)


def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_sizes(models):
    cascade = Cascade(models, CascadeConfig(score_thresholds=(0.62, 0.5, 0.5)))
    rng = np.random.default_rng(0)
    resident = []
    for count in range(4000):
        height, width = rng.integers(8, 300, 2)
        cascade(tf.constant(noise(height, width, seed=count)))
        if count % 500 == 499:
            resident.append(resident_mib())
    print(resident)
    assert resident[-1] - resident[-5] < 20
