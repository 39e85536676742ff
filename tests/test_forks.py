"""Detectors and estimators in other processes and as copies: the same answers, or one line."""

import copy
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import kptkit
from kptkit.network import PoseNetwork, build_model
from kptkit.people import PeopleEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.assign import model_arrays
from kptkit.weights.card import Origin, WeightsCard

ROOT = Path(__file__).parents[1]
PICTURE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
RECIPE = PoseRecipe(variant="demo", input_size_wh=(64, 64))
LATE = "InputError: this process was forked after TensorFlow had started, .* or start .* by spawn"


@pytest.fixture(scope="module")
def pose_file(tmp_path_factory):
    """A published network with random weights."""
    path = tmp_path_factory.mktemp("pose") / "pose.npz"
    model = build_model(RECIPE, 17)
    card = WeightsCard(model.name, Origin("nobody"), RECIPE, COCO_17)
    publish_arrays(path, model_arrays(model), card)
    return path


def face_detector(cascade_file):
    return kptkit.FaceDetector(cascade_file, score_thresholds=(0.6, 0.6, 0.6))


def assert_same(found, expected):
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_children_answer_alike_or_say_why_not(cascade_file, pose_file):
    script = [sys.executable, "-W", "ignore", "-m", "tests.support.forked", cascade_file, pose_file]
    done = subprocess.run(
        script, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    lines = done.stdout.splitlines()
    assert lines[:3] == ["same", "same", "True"], done.stdout + done.stderr
    assert len(lines) == 7
    for line in lines[3:]:
        assert re.match(LATE, line), line


def detect_in_child(pickled, pipe):
    pipe.send(pickle.loads(pickled).detect(PICTURE))


def test_a_used_detector_goes_to_a_spawned_process(cascade_file):
    detector = face_detector(cascade_file)
    expected = detector.detect(PICTURE)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=detect_in_child, args=(pickle.dumps(detector), theirs))
    child.start()
    assert ours.poll(120)
    assert_same(ours.recv(), expected)
    child.join(60)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_answer_alike(copied, used, cascade_file, pose_file):
    detector, estimator = face_detector(cascade_file), kptkit.PoseEstimator(pose_file)
    people = PeopleEstimator(estimator, detector)
    expected = people.predict(PICTURE) if used else None
    for one, other in ((people, copied(people)), (people, copied(copied(people)))):
        expected = expected or one.predict(PICTURE)
        found = other.predict(PICTURE)
        assert_same(found.bodies, expected.bodies)
        assert_same(found.faces, expected.faces)
    assert len(expected.faces)


def test_an_estimator_of_a_loaded_network_is_copied(pose_file):
    network = PoseNetwork(build_model(RECIPE, 17), RECIPE, COCO_17)
    estimator = kptkit.PoseEstimator(network)
    expected = estimator.predict(PICTURE)
    assert_same(pickle.loads(pickle.dumps(estimator)).predict(PICTURE), expected)
    assert copy.deepcopy(estimator).model is not network.model


def test_estimators_share_their_graph_but_not_their_network(pose_file):
    first, second = kptkit.PoseEstimator(pose_file), kptkit.PoseEstimator(str(pose_file))
    expected = first.predict(PICTURE)
    assert_same(second.predict(PICTURE), expected)
    assert second._compiled is first._compiled
    # Whoever asks for the network may change it, which no other estimator notices.
    variable = next(v for v in second.model.variables if v.path == "final_layer/bias")
    variable.assign(np.asarray(variable) + 1)
    assert_same(first.predict(PICTURE), expected)
    assert not np.array_equal(second.predict(PICTURE).keypoints, expected.keypoints)
    given = PoseNetwork(first.model, RECIPE, COCO_17)
    estimators = [kptkit.PoseEstimator(given) for _ in range(2)]
    assert estimators[0]._ready() is estimators[1]._ready()
    assert estimators[0].network is given


def test_threads_share_what_the_first_call_builds(cascade_file, pose_file):
    people = PeopleEstimator(kptkit.PoseEstimator(pose_file), face_detector(cascade_file))
    ready = threading.Barrier(8)

    def predict(_):
        ready.wait()
        return people.predict(PICTURE)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predict, range(8)))
    expected = people.predict(PICTURE)
    for each in found:
        assert_same(each.bodies, expected.bodies)
        assert_same(each.faces, expected.faces)
    assert people.faces.cascade._graph.detect.experimental_get_tracing_count() == 1
    assert people.body._compiled.predict.experimental_get_tracing_count() == 1


def test_an_estimator_is_checked_when_it_is_opened(pose_file, tmp_path):
    model = build_model(RECIPE, 16)  # one keypoint less than its card says
    card = WeightsCard(model.name, Origin("nobody"), RECIPE, COCO_17)
    publish_arrays(tmp_path / "a.npz", model_arrays(model), card)
    with pytest.raises(kptkit.InputError, match=r"a.npz: does not fit .* final_layer/"):
        kptkit.PoseEstimator(tmp_path / "a.npz")
