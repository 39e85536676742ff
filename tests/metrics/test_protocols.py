"""The metrics of each protocol, against loops over persons and keypoints."""

import math
import re
from typing import get_args

import numpy as np
import pytest

from kptkit.errors import InputError
from kptkit.metrics import protocols
from kptkit.samples import KeypointSamples, Protocol
from kptkit.skeletons.known import COCO_17
from kptkit.skeletons.schema import KeypointSchema

BODY = ("left_shoulder", "right_hip", "Pelvis", "thorax", "left_wrist", "head_top")
PROTOCOLS = get_args(Protocol)


def schema_of(*names):
    return KeypointSchema(names, (), (), (0.05,) * len(names))


def landmarks(count):
    return schema_of(*(f"kpt-{number}" for number in range(count)))


def made(protocol, schema, num_persons=40, lengths=None, unlabelled=0.1, seed=0):
    """Persons, a few of whose keypoints are unlabelled junk, and predictions (N, K, 3)."""
    rng = np.random.default_rng(seed)
    shape = num_persons, schema.num_keypoints
    visibility = np.where(rng.uniform(size=shape) < unlabelled, 0, rng.integers(1, 3, shape))
    true = np.concatenate([rng.uniform(0, 90, (*shape, 2)), visibility[..., None]], axis=-1)
    predicted = true + rng.normal(0, 8, true.shape)
    true[visibility == 0, :2] = -np.inf
    predicted[visibility == 0, :2] = np.nan
    low = rng.uniform(0, 30, (num_persons, 2))
    samples = KeypointSamples(
        schema=schema,
        image_paths=("a.jpg",),
        image_ids=np.zeros(1, np.int64),
        image_wh=np.full((1, 2), 99, np.int32),
        image_index=np.zeros(num_persons, np.int64),
        sample_ids=np.arange(num_persons),
        boxes_xyxy=np.concatenate([low, low + rng.uniform(20, 60, low.shape)], 1).astype("f4"),
        keypoints=true.astype(np.float32),
        box_scores=np.ones(num_persons, np.float32),
        protocol=protocol,
        reference_lengths=lengths,
    )
    return samples, predicted


def head_sizes(num_persons=40):
    sizes = np.random.default_rng(5).uniform(8, 40, num_persons).astype(np.float32)
    sizes[:2] = np.nan, 0
    return sizes[:num_persons]


def loop_share(samples, predicted, lengths, threshold, left_out=()):
    """Correct keypoints over all that can be judged."""
    hits = total = 0
    for person, length in enumerate(lengths):
        for k, (x, y, visibility) in enumerate(samples.keypoints[person].tolist()):
            if visibility > 0 and k not in left_out and 0 < length < math.inf:
                total += 1
                hits += math.dist((x, y), predicted[person, k, :2]) / length <= threshold
    return hits / total


def loop_lengths(samples, first, second):
    """Distances between two labelled keypoints."""
    return [
        math.dist(person[first, :2], person[second, :2])
        if min(person[first, 2], person[second, 2]) > 0
        else math.nan
        for person in samples.keypoints.astype(float)
    ]


def loop_errors(samples, predicted, lengths):
    """The mean error of each face that can be judged."""
    errors = []
    for face, length in enumerate(lengths):
        distances = [
            math.dist((x, y), predicted[face, k, :2]) / length
            for k, (x, y, visibility) in enumerate(samples.keypoints[face].tolist())
            if visibility > 0 and length > 0
        ]
        if distances:
            errors.append(sum(distances) / len(distances))
    return errors


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_to_judge(protocol):
    schema = landmarks(68) if protocol.startswith("nme") else COCO_17
    samples, predicted = made(protocol, schema, 0, lengths=np.zeros(0, np.float32))
    metrics = protocols.judge(samples, predicted)
    assert metrics
    assert np.isnan([*metrics.values(), protocols.pck_of(samples, predicted)]).all()
    assert "- |" in protocols.format_table(protocol, metrics)
    rows = protocols.keypoint_table(samples, predicted).splitlines()[2:]
    assert len(rows) == schema.num_keypoints + 1
    assert all(re.search(r"\| +0 \| +- \|", row) for row in rows)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_headline_is_one_of_the_numbers(protocol):
    name, larger_is_better = protocols.headline(protocol)
    assert larger_is_better == (not protocol.startswith("nme"))
    schema = landmarks(68) if protocol.startswith("nme") else COCO_17
    samples, predicted = made(protocol, schema, 40, head_sizes(), unlabelled=0.01)
    metrics = protocols.judge(samples, predicted)
    assert np.isfinite(list(metrics.values())).all()
    if protocol == "oks":  # AP needs areas
        assert (name, list(metrics)) == ("AP", ["PCK@0.2"])
    else:
        assert name == next(iter(metrics))
    perfect = np.where(samples.keypoints[..., 2:] > 0, samples.keypoints, 0)
    for key, value in protocols.judge(samples, perfect).items():
        assert value == (0 if key.startswith(("NME", "failure")) else 1)


def test_pckh_equals_a_loop():
    samples, predicted = made("pckh", schema_of(*BODY), lengths=head_sizes())
    expected = {}
    for suffix, left_out in (("", (2, 3)), (" all", ())):
        for threshold in (0.5, 0.1, 0.11):
            share = loop_share(samples, predicted, samples.reference_lengths, threshold, left_out)
            expected[f"PCKh@{threshold}{suffix}"] = share
    metrics = protocols.judge(samples, predicted)
    assert metrics == pytest.approx(expected)
    assert list(metrics) == list(expected)
    assert len(set(expected.values())) == 6


def test_stacks_are_compared_in_torsos_where_there_is_one():
    samples, predicted = made("pckh", schema_of(*BODY), lengths=head_sizes())
    expected = loop_share(samples, predicted, loop_lengths(samples, 0, 1), 0.2)
    assert protocols.pck_of(samples, predicted) == pytest.approx(expected)
    assert expected != loop_share(samples, predicted, samples.reference_lengths, 0.2)


def test_pckh_needs_head_sizes():
    samples, predicted = made("pckh", schema_of(*BODY))
    with pytest.raises(InputError, match="PCKh: no head sizes; expected a file"):
        protocols.judge(samples, predicted)


@pytest.mark.parametrize("protocol", ["oks", "pck_torso"])
def test_pck_equals_a_loop(protocol):
    samples, predicted = made(protocol, schema_of(*BODY))
    torsos = loop_lengths(samples, 0, 1)
    metrics = protocols.judge(samples, predicted)
    expected = {"PCK@0.2": loop_share(samples, predicted, torsos, 0.2)}
    if protocol == "pck_torso":
        expected["PCK@0.1"] = loop_share(samples, predicted, torsos, 0.1)
    assert metrics == pytest.approx(expected)
    assert protocols.pck_of(samples, predicted) == metrics["PCK@0.2"]
    assert protocols.pck_of(samples, predicted, 0.1) == pytest.approx(
        loop_share(samples, predicted, torsos, 0.1)
    )


def test_torsos_that_samples_bring_go_first():
    """As those of FLIC, from the right shoulder to the left hip."""
    samples, predicted = made("pck_torso", schema_of("nose", "eye"), lengths=head_sizes())
    expected = loop_share(samples, predicted, samples.reference_lengths, 0.2)
    assert protocols.judge(samples, predicted)["PCK@0.2"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (COCO_17.names, (5, 12)),
        (("lsho", "rsho", "lhip", "rhip"), (0, 3)),
        (("RHip", "LShoulder"), (1, 0)),
        (("hip-right", "Shoulder.L"), (1, 0)),
        (("left hip", "right shoulder"), None),
        (("left_shoulder", "left_hip"), None),
        (("leftmost_shoulder", "right_hip"), None),
        (("whipr", "lshoulder"), None),
    ],
)
def test_torsos_are_found_by_name(names, found):
    assert protocols.find_torso(schema_of(*names)) == found


def test_a_schema_without_a_torso():
    samples, predicted = made("pck_torso", schema_of("nose", "tail"))
    with pytest.raises(InputError, match="nose, tail; expected left_shoulder and right_hip among"):
        protocols.judge(samples, predicted)
    samples, predicted = made("oks", schema_of("nose", "tail"))
    assert protocols.judge(samples, predicted) == {}
    sides = (samples.boxes_xyxy[:, 2:] - samples.boxes_xyxy[:, :2]).max(axis=1)
    assert protocols.pck_of(samples, predicted) == pytest.approx(
        loop_share(samples, predicted, sides, 0.2)
    )


@pytest.mark.parametrize(
    ("schema", "eyes"),
    [
        (landmarks(68), (36, 45)),
        (landmarks(98), (60, 72)),
        (landmarks(29), (8, 9)),
        (landmarks(5), (0, 1)),
        (schema_of("Nose", "LeftEye", "eye", "right-eye"), (1, 3)),
        (schema_of("l_eye", "nose", "r_eye"), (0, 2)),
        # Names go before the number of points: these five are not MTCNN's.
        (schema_of("chin", "left_eye_outer", "left_eye", "nose", "right_eye_outer"), (1, 4)),
    ],
)
def test_faces_equal_a_loop(schema, eyes):
    samples, predicted = made("nme_interocular", schema, unlabelled=0.03)
    errors = loop_errors(samples, predicted, loop_lengths(samples, *eyes))
    boxes = []
    for face in samples.keypoints.astype(float):
        xs, ys = ([point[i] for point in face if point[2] > 0] for i in (0, 1))
        boxes.append(math.sqrt((max(xs) - min(xs)) * (max(ys) - min(ys))))
    areas = [math.sqrt((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in samples.boxes_xyxy.tolist()]
    metrics = protocols.judge(samples, predicted)
    expected = {"NME": sum(errors) / len(errors)}
    for threshold in (0.08, 0.1):
        failures = sum(error > threshold for error in errors)
        expected[f"failure@{threshold}"] = failures / len(errors)
        # The exact area, which Simpson's steps are near to.
        area = sum(max(0, 1 - error / threshold) for error in errors) / len(errors)
        assert metrics.pop(f"AUC@{threshold}") == pytest.approx(area, abs=1e-4 / threshold)
    for name, lengths in (("wh", boxes), ("box", areas)):
        own = loop_errors(samples, predicted, lengths)
        expected[f"NME sqrt({name})"] = sum(own) / len(own)
    assert metrics == pytest.approx(expected)
    assert 0 < len(errors) <= 40
    between = loop_lengths(samples, *eyes)
    assert protocols.pck_of(samples, predicted) == pytest.approx(
        loop_share(samples, predicted, between, 0.2)
    )


def test_curves_of_small_errors():
    """Half of the faces are exact and half are off by 0.05."""
    samples, _ = made("nme_interocular", schema_of("left_eye", "right_eye"), 4, unlabelled=0)
    samples.keypoints[..., :2] = [[0, 0], [100, 0]]
    predicted = samples.keypoints.copy()
    predicted[:2, :, 1] += 5
    metrics = protocols.judge(samples, predicted)
    assert metrics["NME"] == pytest.approx(0.025)
    assert (metrics["failure@0.08"], metrics["failure@0.1"]) == (0, 0)
    assert metrics["AUC@0.1"] == pytest.approx(0.75, abs=1e-3)
    assert metrics["AUC@0.08"] == pytest.approx(1 - 0.025 / 0.08, abs=1e-3)


def test_faces_without_eyes_are_refused():
    samples, predicted = made("nme_interocular", schema_of("nose", "chin", "left_eye"))
    message = (
        "NME: 3 keypoints, nose, chin, left_eye; expected 5, 29, 68 or 98 landmarks, or left_eye"
    )
    with pytest.raises(InputError, match=message):
        protocols.judge(samples, predicted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_are_refused(protocol, value):
    schema = landmarks(68) if protocol.startswith("nme") else COCO_17
    samples, predicted = made(protocol, schema, 3, np.full(3, 9.0), unlabelled=0)
    predicted[2, 4, 1] = value
    for judge in (protocols.judge, protocols.pck_of, protocols.keypoint_table):
        with pytest.raises(InputError, match="predicted keypoints: NaN or infinity"):
            judge(samples, predicted)


@pytest.mark.parametrize(
    ("protocol", "thresholds", "unit", "judged_by"),
    [
        ("pckh", ("PCKh@0.5", "PCKh@0.1", "PCKh@0.11"), "head size", None),
        ("pck_torso", ("PCK@0.2", "PCK@0.1"), "torso", (0, 1)),
        ("nme_interocular", (), "inter-ocular", (5, 6)),
    ],
)
def test_a_row_for_every_keypoint(protocol, thresholds, unit, judged_by):
    names = (*BODY[:5], "left_eye", "right_eye")
    brought = None if judged_by else head_sizes()
    samples, predicted = made(protocol, schema_of(*names), lengths=brought)
    lengths = loop_lengths(samples, *judged_by) if judged_by else brought
    lines = protocols.keypoint_table(samples, predicted).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["keypoint", "labelled", *thresholds, f"distance / {unit}", "score"]
    rows = {name: [places] for places, name in enumerate(names)} | {"all": list(range(7))}
    if protocol == "pckh":
        rows["all but Pelvis, thorax"] = [0, 1, 4, 5, 6]
    assert {row[0] for row in cells[2:]} == set(rows)
    for name, count, *numbers in cells[2:]:
        found, scores = [], []
        for person, length in enumerate(lengths):
            for k in rows[name]:
                x, y, visibility = samples.keypoints[person, k].tolist()
                if visibility > 0 and length > 0:
                    found.append(math.dist((x, y), predicted[person, k, :2]) / length)
                    scores.append(predicted[person, k, 2])
        shares = [
            sum(distance <= float(threshold.split("@")[1]) for distance in found) / len(found)
            for threshold in thresholds
        ]
        means = [*shares, sum(found) / len(found), sum(scores) / len(scores)]
        assert count == str(len(found))
        assert numbers == [f"{mean:.3f}" for mean in means]


def test_tables_say_in_which_lengths():
    oks = {"AP": 0.5, "AP50": np.nan}
    assert (
        protocols.format_table("oks", oks) == "|    AP | AP50 |\n| ----: | ---: |\n| 0.500 |    - |"
    )
    for protocol, metrics, note in [
        ("oks", {"AP": 0.5, "PCK@0.2": 0.25}, "in torsos, from left shoulder to right hip"),
        (
            "pckh",
            {"PCKh@0.5": 0.25},
            "in head sizes, 0.6 of the head box's diagonal; without pelvis",
        ),
        ("pck_torso", {"PCK@0.2": 0.25}, "in torsos"),
        ("nme_interocular", {"NME": 0.03344}, "between the outer corners of the eyes"),
    ]:
        table = protocols.format_table(protocol, metrics)
        assert note in table.splitlines()[-1]
        assert ("0.0334 |" if "NME" in metrics else "0.250 |") in table.splitlines()[2]
