"""What is refused of a network in another runtime and what may pass; the runtime here is Keras."""

import numpy as np
import pytest
from support.blob_pose import estimator as blob_estimator

from kptkit.errors import InputError
from kptkit.export.check import compare_converted_pose, compare_converted_stage
from kptkit.export.check_inputs import face_windows, levels, person_crops
from kptkit.export.network_functions import pose_function, stage_function
from kptkit.export.target import Target
from kptkit.weights.cascade import load_cascade


class Runtime:
    """Keras's own answers, changed in one output, and the sizes of the batches that came."""

    def __init__(self, network, name="", change=None):
        self.network, self.name, self.change, self.batches = network, name, change, []

    def __call__(self, inputs):
        (images,) = inputs.values()
        self.batches.append(len(images))
        outputs = {name: t.numpy() for name, t in self.network.function(images).items()}
        if self.change:
            outputs[self.name] = self.change(outputs[self.name])
        return outputs


@pytest.fixture(scope="module")
def pose():
    estimator = blob_estimator()
    return estimator, pose_function(estimator)


@pytest.fixture(scope="module")
def cascade():
    return load_cascade("default")


def test_pictures_of_the_comparison(pose):
    crops = person_crops(pose[0])
    assert crops.shape[1:] == (96, 64, 3)
    assert crops.dtype == np.uint8
    assert len(crops) >= 8
    assert np.ptp(crops, axis=(1, 2, 3)).min() > 50
    windows = face_windows(24)
    assert windows.shape[1:] == (24, 24, 3)
    assert len(windows) >= 8
    first, second = levels()
    assert first.shape[1:3] != second.shape[1:3]
    assert windows.dtype == first.dtype == np.float32
    assert windows.max() > 200  # pixels, not shares of them


def test_the_default_detector_tells_the_windows_of_faces_from_those_beside(cascade):
    network = stage_function("onet", cascade["onet"])
    scores = network.function(face_windows(48))["scores"].numpy()
    assert scores.max() > 0.9
    assert scores.min() < 0.1


def test_the_same_answers_differ_by_nothing(pose, cascade):
    estimator, network = pose
    runtime = Runtime(network)
    difference = compare_converted_pose(runtime, network, estimator, "float32")
    count = len(person_crops(estimator))
    assert runtime.batches == [1, count - 1]
    assert difference["heatmaps"] < 1e-6
    assert difference["keypoints_px"] < 1e-3
    assert difference["keypoints_compared"] == difference["keypoints"] == 3 * count
    for stage, model in cascade.items():
        network = stage_function(stage, model)
        largest = compare_converted_stage(Runtime(network), network, "float32")
        landmark = {"landmark"} if stage == "onet" else set()
        assert set(largest) == {"scores", "box"} | landmark
        assert max(largest.values()) < 1e-6


@pytest.mark.parametrize(
    ("name", "change", "precision", "message"),
    [
        ("heatmaps", lambda x: x + 0.001 * x.max(), "float32", "in heatmaps, expected at most 0.0"),
        ("heatmaps", lambda x: x * 1.02, "float16", "in heatmaps, expected at most 0.01"),
        ("heatmaps", lambda x: np.where(x == x.max(), np.nan, x), "float16", "by nan in heatmaps"),
        ("keypoints", lambda x: x + 0.02, "float32", "in keypoints_px, expected at most 0.01"),
        ("keypoints", lambda x: x[..., ::-1], "float16", "in keypoints_px"),
        ("keypoint_scores", lambda x: x * 1.001, "float32", "in scores"),
    ],
)
def test_pose_answers_that_are_refused(pose, name, change, precision, message):
    estimator, network = pose
    with pytest.raises(RuntimeError, match=message):
        compare_converted_pose(Runtime(network, name, change), network, estimator, precision)


def test_float16_may_differ_by_more(pose):
    estimator, network = pose
    runtime = Runtime(network, "keypoints", lambda x: x + 0.02)
    difference = compare_converted_pose(runtime, network, estimator, "float16")
    assert difference["keypoints_px"] == pytest.approx(0.02 * 2**0.5, abs=1e-3)


@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
@pytest.mark.parametrize("name", ["scores", "box"])
def test_stage_answers_that_are_refused(cascade, stage, name):
    network = stage_function(stage, cascade[stage])
    runtime = Runtime(network, name, lambda x: x + 1e-3)
    difference = compare_converted_stage(runtime, network, "float16")[name]
    assert difference == pytest.approx(1e-3, rel=1e-3)
    with pytest.raises(RuntimeError, match=f"0.001 in {name}, expected at most 0.0001"):
        compare_converted_stage(runtime, network, "float32")


def test_fixed_batches_are_filled_up(pose, cascade):
    estimator, _ = pose
    network = pose_function(estimator, batch_size=4)
    runtime = Runtime(network)
    assert compare_converted_pose(runtime, network, estimator, "float32")["heatmaps"] < 1e-6
    assert set(runtime.batches) == {4}
    assert len(runtime.batches) == -(-len(person_crops(estimator)) // 4)
    network = stage_function("rnet", cascade["rnet"], batch_size=100)
    runtime = Runtime(network)
    compare_converted_stage(runtime, network, "float32")
    assert runtime.batches == [100]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "float16"}, "precision and batch_size are for --format litert or onnx"),
        ({"batch_size": 1}, "precision and batch_size"),
        ({"format": "onnx", "batch_size": 0}, "batch_size: 0; expected 1 or more"),
    ],
)
def test_targets_that_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Target(**values)
