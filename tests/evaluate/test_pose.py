"""Which judge a data set gets, and what of, with an estimator that looks its answers up."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from kptkit.data.records.sources import ImageSource
from kptkit.errors import InputError
from kptkit.evaluate import pose_report
from kptkit.evaluate.flags import PoseEvaluationConfig
from kptkit.evaluate.pose import evaluate_pose
from kptkit.images.codec import write_image
from kptkit.metrics import protocols
from kptkit.network import PoseNetwork
from kptkit.opener import PoseSource
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.samples import KeypointSamples
from kptkit.skeletons.known import COCO_17, LSP_14
from kptkit.skeletons.schema import KeypointSchema

FACES = KeypointSchema(tuple(f"kpt-{n}" for n in range(68)), (), (), (0.05,) * 68)
SCHEMAS = {
    "oks": COCO_17,
    "pckh": COCO_17,
    "pck_torso": COCO_17,
    "nme_interocular": FACES,
}
NUM_PERSONS = 6


class Lookup(PoseEstimator):
    """Knows by heart what to say of every sample id; reads its crops like any other."""

    def __init__(self, schema, answers):
        super().__init__(PoseNetwork(None, RECIPES["demo"], schema))
        self.answers = answers

    def predict_batches(self, batches):
        ids = np.concatenate([[], *(batch["sample_id"].numpy() for batch in batches)]).astype(int)
        ids = ids[ids >= 0]
        return ids, self.answers[ids]


@pytest.fixture
def set_of(tmp_path):
    """Samples of a protocol on three pictures, two persons each, with a COCO truth."""

    def make(protocol):
        schema = SCHEMAS[protocol]
        rng = np.random.default_rng(1)
        shape = NUM_PERSONS, schema.num_keypoints
        keypoints = rng.uniform(10, 70, (*shape, 3)).astype(np.float32)
        keypoints[..., 2] = rng.integers(1, 3, shape)
        keypoints[:, -1, 2] = 0
        paths = [tmp_path / f"{number}.png" for number in range(3)]
        for path in paths:
            write_image(path, rng.integers(0, 255, (80, 90, 3), np.uint8))
        return KeypointSamples(
            schema=schema,
            image_paths=tuple(map(str, paths)),
            image_ids=np.arange(3) + 100,
            image_wh=np.tile(np.int32([90, 80]), (3, 1)),
            image_index=np.arange(NUM_PERSONS) // 2,
            sample_ids=np.arange(NUM_PERSONS),
            boxes_xyxy=np.tile(np.float32([5, 5, 75, 75]), (NUM_PERSONS, 1)),
            keypoints=keypoints,
            box_scores=np.ones(NUM_PERSONS, np.float32),
            protocol=protocol,
            reference_lengths=(
                np.linspace(5, 50, NUM_PERSONS, dtype=np.float32) if protocol == "pckh" else None
            ),
        )

    return make


def truth_of(samples):
    """The COCO dictionary of samples."""
    annotations = [
        {
            "id": number,
            "image_id": int(samples.image_ids[image]),
            "category_id": 7,
            "keypoints": person.ravel().tolist(),
            "num_keypoints": int((person[:, 2] > 0).sum()),
            "bbox": [5, 5, 70, 70],
            "area": 4900,
            "iscrowd": 0,
        }
        for number, (image, person) in enumerate(
            zip(samples.image_index, samples.keypoints.astype(float), strict=True)
        )
    ]
    images = [{"id": int(i), "width": 90, "height": 80} for i in samples.image_ids]
    return {"images": images, "annotations": annotations, "categories": [{"id": 7}]}


def answers_of(samples):
    """Predictions a few pixels off, more so from person to person."""
    rng = np.random.default_rng(2)
    spread = np.arange(1, NUM_PERSONS + 1)[:, None, None]
    answers = samples.keypoints + spread * rng.normal(size=samples.keypoints.shape)
    answers[..., 2] = rng.uniform(0.5, 1, answers.shape[:2])
    return answers


@pytest.mark.parametrize("protocol", SCHEMAS)
def test_every_protocol_has_its_judge(set_of, protocol):
    samples = set_of(protocol)
    answers = answers_of(samples)
    evaluation = evaluate_pose(
        Lookup(samples.schema, answers), ImageSource(samples), truth_of(samples), batch_size=4
    )
    expected = protocols.judge(samples, answers)
    assert evaluation.metrics.items() >= expected.items()
    assert protocols.headline(protocol)[0] in evaluation.metrics
    extra = [name for name in evaluation.metrics if name not in expected]
    assert extra[:3] == (["AP", "AP50", "AP75"] if protocol == "oks" else [])
    assert ("PCK@0.2" in evaluation.metrics) == (protocol in ("oks", "pck_torso"))
    np.testing.assert_array_equal(evaluation.keypoints, answers)
    assert [r["image_id"] for r in evaluation.results] == [100, 100, 101, 101, 102, 102]
    assert {r["category_id"] for r in evaluation.results} == {7}


@pytest.mark.parametrize("protocol", ["oks", "pckh", "nme_interocular"])
def test_a_person_on_a_broken_picture_is_not_judged(set_of, protocol, tmp_path):
    samples = set_of(protocol)
    answers = answers_of(samples)
    (tmp_path / "1.png").write_bytes(b"no picture")
    evaluation = evaluate_pose(
        Lookup(samples.schema, answers), ImageSource(samples), truth_of(samples)
    )
    kept = [0, 1, 4, 5]
    assert evaluation.samples.sample_ids.tolist() == kept
    expected = protocols.judge(samples.select(kept), answers[kept])
    assert evaluation.metrics.items() >= expected.items()
    assert expected != protocols.judge(samples, answers)


def test_a_truth_without_a_category_will_do_but_for_ap(set_of):
    samples = set_of("pckh")
    estimator = Lookup(samples.schema, answers_of(samples))
    evaluation = evaluate_pose(estimator, ImageSource(samples), truth={})
    assert evaluation.metrics == protocols.judge(samples, estimator.answers)
    assert len(evaluation.results) == NUM_PERSONS


def test_detected_boxes_have_ap_alone(set_of):
    """Whose keypoints they are nobody knows."""
    samples = set_of("oks")
    estimator, truth = Lookup(samples.schema, answers_of(samples)), truth_of(samples)
    boxes = replace(samples, keypoints=np.zeros_like(samples.keypoints))
    metrics = evaluate_pose(estimator, ImageSource(boxes), truth).metrics
    assert metrics["AP"] == evaluate_pose(estimator, ImageSource(samples), truth).metrics["AP"]
    assert np.isnan(metrics["PCK@0.2"])


@pytest.mark.parametrize(("margin", "kept"), [(-1e-6, [0, 2, 4]), (1e-6, [0, 1, 2, 3, 4, 5])])
def test_oks_nms_measures_persons_by_their_padded_windows(set_of, margin, kept):
    """In the official code a person's area is that of the window, whose sides are 1.25 of the box.

    The second person of each picture is the first one 5 px off, its score half.
    """
    samples = set_of("oks")
    width, height = (side / 2 for side in RECIPES["demo"].input_size_wh)  # the aspect of a crop
    samples.boxes_xyxy[:] = [5, 5, 5 + width, 5 + height]
    answers = samples.keypoints[[0, 0, 2, 2, 4, 4]].astype(float)
    answers[1::2, :, 0] += 5
    answers[..., 2] = np.where(np.arange(NUM_PERSONS) % 2, 0.4, 0.8)[:, None]
    area, similarity = (1.25 * width) * (1.25 * height), 0.0
    for sigma in COCO_17.oks_sigmas:
        similarity += math.exp(-(5**2) / (2 * area * (2 * sigma) ** 2)) / 17
    evaluation = evaluate_pose(
        Lookup(COCO_17, answers),
        ImageSource(samples),
        truth_of(samples),
        oks_nms_threshold=similarity + margin,
    )
    found = [result["keypoints"] for result in evaluation.results]
    np.testing.assert_allclose(found, answers[kept].reshape(len(kept), -1))


@pytest.mark.parametrize("protocol", SCHEMAS)
def test_predictions_that_are_no_numbers_are_refused(set_of, protocol):
    samples = set_of(protocol)
    answers = answers_of(samples)
    answers[3, 2, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        evaluate_pose(Lookup(samples.schema, answers), ImageSource(samples), truth_of(samples))


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("oks", ["6 persons", "|    AP |", "| similarity > 0.5 |", "PCK: in torsos"]),
        ("pckh", ["6 persons", "| PCKh@0.5 |", "| distance / head size |", "PCKh: in head sizes"]),
        ("pck_torso", ["6 persons", "| PCK@0.2 |", "| distance / torso |", "PCK: in torsos"]),
        (
            "nme_interocular",
            ["6 faces", "|    NME |", "| distance / inter-ocular |", "NME: in"],
        ),
    ],
)
def test_the_command_prints_the_tables_of_the_protocol(set_of, protocol, told, capsys):
    samples = set_of(protocol)
    truth = truth_of(samples)
    estimator = Lookup(samples.schema, answers_of(samples))
    evaluation = evaluate_pose(estimator, ImageSource(samples), truth)
    pose_report.print_tables(evaluation, truth)
    printed = capsys.readouterr().out
    for text in told:
        assert text in printed
    assert f" {samples.schema.names[0]} |" in printed
    assert printed.splitlines()[-1].lstrip("| ").startswith("all |")


def test_detected_boxes_are_refused_where_persons_are_judged_one_by_one(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((90, 80, 3), np.uint8))
    joints = [[20 + 3 * n, 70 - 4 * n, 1] for n in range(14)]
    path = tmp_path / "val.json"
    path.write_text(json.dumps([{"image": "a.png", "joints": joints}]))
    data = {"val": str(path), "images": str(tmp_path), "format": "lsp"}
    run = PoseSource(tmp_path / "best.npz", RECIPES["demo"], LSP_14, tmp_path, data)
    config = PoseEvaluationConfig(run=tmp_path)
    assert len(pose_report.held_out_data(run, config).source.samples) == 1
    with pytest.raises(InputError, match=r"--detections: .*val.json is judged by PCK@0.2, pers"):
        pose_report.held_out_data(run, replace(config, detections=path))
