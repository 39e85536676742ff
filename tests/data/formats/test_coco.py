import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.coco_files import document, load, person, written

from kptkit.data.formats.coco import inspect_coco, load_coco
from kptkit.data.formats.document import AnnotationFile, split_by_image
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.metrics.oks import evaluate_oks
from kptkit.samples import KeypointSamples
from kptkit.skeletons.known import COCO_17

real_data = pytest.mark.skipif(
    "KPTKIT_DATA" not in os.environ, reason="KPTKIT_DATA does not name the folder of real data"
)


def test_a_sound_file_is_taken_as_it_is(tmp_path):
    content = document()
    coco = load_coco(written(tmp_path, content))
    assert coco.annotations["annotations"] == content["annotations"]
    assert coco.annotations["images"] == content["images"]
    assert coco.annotations["categories"] == content["categories"][:1]
    assert coco.schema.names == ("nose", "left_eye", "right_eye")
    assert coco.schema.flip_pairs == ((1, 2),)
    assert coco.notices == ()


def test_what_labelling_tools_leave_out_is_derived_with_one_notice_each(tmp_path):
    bare = [person(number) for number in range(3)]
    for annotation in bare:
        for field in ("area", "iscrowd", "num_keypoints"):
            del annotation[field]
    bare[0]["area"] = None
    bare[0]["segmentation"] = [[1.0, 2.0, 3.0, 4.0]]
    coco = load(tmp_path, *bare)
    for annotation in coco.annotations["annotations"]:
        assert annotation["area"] == pytest.approx(0.53 * 30 * 40)
        assert annotation["iscrowd"] == 0
        assert annotation["num_keypoints"] == 2
        assert "segmentation" not in annotation
    fields = ("num_keypoints", "area", "iscrowd")
    assert len(coco.notices) == 3
    for notice, field in zip(coco.notices, fields, strict=True):
        assert notice.startswith(f"{tmp_path}/x.json: annotations.{field}: missing")
        assert notice.endswith("(3 times)")


def test_contradictions_are_put_right_and_told(tmp_path):
    origin = [12, 22, 2, 0, 0, 2, 30, 50, 1]
    coco = load(tmp_path, person(1, num_keypoints=3), person(2, keypoints=origin, iscrowd=True))
    first, second = coco.annotations["annotations"]
    assert first["num_keypoints"] == second["num_keypoints"] == 2
    assert second["keypoints"] == [12, 22, 2, 0, 0, 0, 30, 50, 1]
    assert second["iscrowd"] == 1
    assert ["num_keypoints: disagrees" in n for n in coco.notices] == [True, False]
    assert "(0, 0)" in coco.notices[1]


def test_annotations_of_other_categories_are_left_out(tmp_path):
    coco = load(tmp_path, person(1), {"id": 1, "category_id": 6}, {"category_id": 6})
    assert [a["id"] for a in coco.annotations["annotations"]] == [1]
    assert coco.notices[0].endswith("annotations.category_id: 6, not 5; left out (2 times)")


def test_of_two_keypoint_categories_one_is_chosen(tmp_path):
    content = document(person(1), person(2, category_id=6))
    content["categories"][1]["keypoints"] = ["head", "tail", "paw"]
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=r"'person', 'car' have keypoints.*--data.category"):
        load_coco(path)
    coco = load_coco(path, category="car")
    assert coco.schema.names == ("head", "tail", "paw")
    assert [a["id"] for a in coco.annotations["annotations"]] == [2]
    with pytest.raises(InputError, match="expected one of 'person', 'car'"):
        load_coco(path, category="dog")


# Changes that make annotations[0] (id 3) invalid, and the rest of the message.
ANNOTATION_ERRORS = [
    ({"id": "3"}, r"annotations\[0\].id: '3'; expected a whole number"),
    ({"id": True}, r"annotations\[0\].id: True"),
    ({"id": -1}, r"annotations\[0\].id: -1"),
    ({"id": 2**63}, r"annotations\[0\].id: 9223372036854775808"),
    ({"id": 4}, r"annotations\[1\].id \(id 4\): occurs twice"),
    ({"image_id": "1"}, r"annotations\[0\].image_id \(id 3\): '1'"),
    ({"image_id": [1]}, r"annotations\[0\].image_id \(id 3\): \[1\]"),
    ({"category_id": 7}, r"annotations\[0\].category_id \(id 3\): 7; expected an id"),
    ({"category_id": "5"}, r"annotations\[0\].category_id \(id 3\): '5'"),
    ({"bbox": None}, r"annotations\[0\].bbox \(id 3\): None; expected \[x, y, width, height\]"),
    ({"bbox": [1, 2, 3]}, r"annotations\[0\].bbox \(id 3\): \[1, 2, 3\]"),
    ({"bbox": [1, 2, 3, "4"]}, r"annotations\[0\].bbox \(id 3\)"),
    ({"bbox": [1, 2, 3, True]}, r"annotations\[0\].bbox \(id 3\)"),
    ({"bbox": [1, 2, 3, 1e300]}, r"annotations\[0\].bbox \(id 3\)"),
    ({"area": -1}, r"annotations\[0\].area \(id 3\): -1"),
    ({"area": "700"}, r"annotations\[0\].area \(id 3\): '700'"),
    ({"iscrowd": 2}, r"annotations\[0\].iscrowd \(id 3\): 2"),
    ({"iscrowd": []}, r"annotations\[0\].iscrowd \(id 3\): \[\]"),
    ({"keypoints": "123456789"}, r"annotations\[0\].keypoints \(id 3\): '123456789'; expected 9"),
    ({"keypoints": {}}, r"annotations\[0\].keypoints \(id 3\): {}; expected 9 numbers"),
    ({"keypoints": [1, 2, 2]}, r"annotations\[0\].keypoints \(id 3\): 3; expected 9 numbers"),
    ({"keypoints": [None] * 9}, r"annotations\[0\].keypoints \(id 3\): \[None"),
    ({"keypoints": [1, 2, 3] * 3}, r"annotations\[0\].keypoints \(id 3\): visibility 3"),
    ({"keypoints": [1, 2, 0.5] * 3}, r"annotations\[0\].keypoints \(id 3\): visibility 0.5"),
]


@pytest.mark.parametrize(("changes", "message"), ANNOTATION_ERRORS)
def test_a_broken_annotation_is_refused_naming_field_and_id(tmp_path, changes, message):
    with pytest.raises(InputError, match=f"^{tmp_path}/x.json: {message}"):
        load(tmp_path, person(3) | changes, person(4))


@pytest.mark.parametrize("field", ["id", "image_id", "category_id", "bbox"])
def test_a_missing_field_is_refused(tmp_path, field):
    annotation = person(3)
    del annotation[field]
    with pytest.raises(InputError, match=rf"annotations\[0\]\.{field}.*: missing; expected"):
        load(tmp_path, annotation)


IMAGE_ERRORS = [
    ({"id": "1"}, r"images\[0\].id: '1'"),
    ({"id": 2}, r"images\[1\].id \(id 2\): '2.png' and '1.png' have the same id"),
    ({"width": 0}, r"images\[0\].width \(id 1\): 0"),
    ({"height": 80.5}, r"images\[0\].height \(id 1\): 80.5"),
    ({"file_name": None}, r"images\[0\].file_name \(id 1\): None"),
    ({"file_name": ""}, r"images\[0\].file_name \(id 1\)"),
    ({"file_name": "a\0b"}, r"images\[0\].file_name \(id 1\)"),
    ({"file_name": "\ud800.png"}, r"images\[0\].file_name \(id 1\)"),
    ({"file_name": "/etc/passwd"}, r"images\[0\].file_name \(id 1\): '/etc/passwd'"),
    ({"file_name": "a/../../b.png"}, r"images\[0\].file_name \(id 1\): 'a/../../b.png'"),
    ({"file_name": "a/.."}, r"images\[0\].file_name \(id 1\)"),
]


@pytest.mark.parametrize(("changes", "message"), IMAGE_ERRORS)
def test_a_broken_image_entry_is_refused_naming_field_and_id(tmp_path, changes, message):
    content = document()
    content["images"][0] |= changes
    with pytest.raises(InputError, match=f"^{tmp_path}/x.json: {message}"):
        load_coco(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "a list at the top level"),
        ({}, "images: missing"),
        ({"images": [], "annotations": []}, "categories: missing"),
        (document() | {"annotations": {}}, r"annotations: \{\}; expected a list"),
        (document() | {"annotations": []}, "annotations: no valid one"),
        (document() | {"annotations": [3]}, r"annotations\[0\]: int; expected an object"),
        (document() | {"images": [3]}, r"images\[0\]: int; expected an object"),
        (document() | {"categories": []}, "categories: none has keypoints"),
        (document() | {"categories": [3]}, r"categories\[0\]"),
        (document() | {"categories": [{"id": 1}, {"id": 1}]}, r"categories\[1\].id: 1 occurs"),
        (document() | {"categories": [{"id": 5, "keypoints": [1]}]}, "keypoints: .1.; expected"),
    ],
)
def test_other_documents_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=f"^{tmp_path}/x.json: .*{message}"):
        load_coco(written(tmp_path, content))


def test_all_faults_are_found_at_once(tmp_path):
    broken = [person(3) | changes for changes, _ in ANNOTATION_ERRORS if "id" not in changes]
    for number, annotation in enumerate(broken):
        annotation["id"] = number + 10
    path = written(tmp_path, document(person(3), *broken))
    coco, faults = inspect_coco(path)
    assert sum(fault.level == "error" for fault in faults) == len(broken)
    assert [a["id"] for a in coco.annotations["annotations"]] == [3]
    with pytest.raises(InputError, match=f"and {len(broken) - 1} more; kptkit data check .* lists"):
        load_coco(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "9; images has no usable picture of that id"),
        ({"bbox": [10, 20, 0, 40]}, "width and height above 0"),
        ({"bbox": [10, 20, 30, -4]}, "width and height above 0"),
        ({"bbox": [101, 20, 30, 40]}, "outside the picture of 100x80"),
        ({"bbox": [-40, 20, 30, 40]}, "outside the picture of 100x80"),
    ],
)
def test_up_to_ten_annotations_are_skipped_and_more_stop(tmp_path, pictures, changes, message):
    skipped = [person(number, **changes) for number in range(100, 110)]
    coco = load(tmp_path, person(3), *skipped)
    assert len(coco.notices) == 1
    assert message in coco.notices[0]
    assert "and 9 more" in coco.notices[0]
    assert keypoint_samples(coco, pictures, report=lambda _: None).sample_ids.tolist() == [3]
    with pytest.raises(InputError, match=r"annotations.*and 10 more.*more than 10 and than 1%"):
        load(tmp_path, person(3), *skipped, person(110, **changes))


def test_corner_boxes_are_recognised(tmp_path):
    inside = [50, 40, 2, 0, 0, 0, 80, 70, 2]
    corners = [person(n, bbox=[40, 30, 90, 75], keypoints=inside) for n in range(3)]
    with pytest.raises(InputError, match=r"3 of 10 leave .* fit as x1, y1, x2, y2"):
        load(tmp_path, *corners, *[person(n) for n in range(3, 10)])
    coco = load(tmp_path, *corners[:2], *[person(n) for n in range(3, 11)])
    assert "clipped for training (2 times)" in coco.notices[0]


def test_a_split_keeps_images_whole_and_does_not_depend_on_the_order(tmp_path):
    image_ids = [1024 * number for number in range(21)]
    persons = [person(number, image_id=image_ids[number // 2]) for number in range(40)]
    content = document(*persons, person(40, image_id=image_ids[20], iscrowd=1))
    content["images"] = [
        {"id": image_id, "file_name": f"{image_id}.png", "width": 100, "height": 80}
        for image_id in image_ids
    ]
    coco = load_coco(written(tmp_path, content))
    train, val = split_by_image(coco, 0.25, seed=3)
    ids = [{image["id"] for image in part.annotations["images"]} for part in (train, val)]
    assert ids[0] | ids[1] == set(image_ids)
    assert not ids[0] & ids[1]
    assert len(ids[1]) == 5
    assert image_ids[20] in ids[0]
    for part, own_ids in zip((train, val), ids, strict=True):
        assert isinstance(part, AnnotationFile)
        expected = [a for a in coco.annotations["annotations"] if a["image_id"] in own_ids]
        assert part.annotations["annotations"] == expected
    for key in ("images", "annotations"):
        content[key].reverse()
    _, again = split_by_image(load_coco(written(tmp_path, content)), 0.25, seed=3)
    assert {image["id"] for image in again.annotations["images"]} == ids[1]
    _, other = split_by_image(coco, 0.25, seed=4)
    assert {image["id"] for image in other.annotations["images"]} != ids[1]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 0.1, 0.9, float("nan")])
def test_a_split_without_images_on_both_sides_is_refused(tmp_path, fraction):
    with pytest.raises(InputError, match=r"of 2 images with persons"):
        split_by_image(load(tmp_path), fraction, seed=0)


def pycocotools_ap(content, results, oks_sigmas):
    """AP by pycocotools alone, on a document that it accepts."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = copy.deepcopy(content)
    truth.createIndex()
    judge = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints")
    judge.params.kpt_oks_sigmas = np.array(oks_sigmas)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats


def test_ids_from_zero_give_the_ap_of_ids_from_one(tmp_path):
    rng = np.random.default_rng(0)
    persons, results = [], []
    for number in range(12):
        keypoints = rng.uniform(10, 60, (3, 3))
        keypoints[:, 2] = [2, 1, 0]
        near = keypoints + rng.normal(0, 1.5, (3, 3))
        image_id = 1 + number % 2
        persons.append(person(number, image_id, keypoints=keypoints.ravel().tolist()))
        results.append(
            {
                "image_id": image_id,
                "category_id": 5,
                "keypoints": near.ravel().tolist(),
                "score": float(rng.random()),
            }
        )
    persons[3]["iscrowd"] = 1
    coco = load(tmp_path, *persons)
    from_one = document(*[a | {"id": a["id"] + 1} for a in persons])
    from_one["categories"] = from_one["categories"][:1]
    expected = pycocotools_ap(from_one, results, coco.schema.oks_sigmas)
    measured = evaluate_oks(coco.annotations, results, coco.schema.oks_sigmas)
    assert 0.05 < expected[0] < 0.95
    assert measured["AP"] == pytest.approx(expected[0], abs=1e-12)


@real_data
@pytest.mark.parametrize(("part", "persons"), [("train", 418), ("val", 130)])
def test_real_coco_is_read_without_loss(part, persons):
    folder = Path(os.environ["KPTKIT_DATA"], "coco")
    path = folder / "annotations" / f"person_keypoints_{part}.json"
    coco = load_coco(path)
    original = json.loads(path.read_text())
    assert coco.schema == COCO_17
    assert coco.notices == ()
    assert coco.annotations["images"] == original["images"]
    for read, annotation in zip(
        coco.annotations["annotations"], original["annotations"], strict=True
    ):
        annotation.pop("segmentation", None)
        assert read == annotation
    samples = keypoint_samples(coco, folder / "images", report=lambda _: None)
    assert len(samples) == persons
    assert samples.orientation == "stored"
    with_keypoints = [
        a["id"] for a in original["annotations"] if a["num_keypoints"] and not a["iscrowd"]
    ]
    assert samples.sample_ids.tolist() == with_keypoints


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.integers(2**62, 2**70),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.one_of(st.integers(-5, 200), st.floats(), st.none()), max_size=9),
    st.dictionaries(st.sampled_from(["id", "keypoints"]), st.integers(), max_size=2),
)


def places(content, prefix=()):
    """Every place of a document, as a path of keys and indices."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield (*prefix, key)
        if isinstance(value, dict | list):
            yield from places(value, (*prefix, key))


@st.composite
def mutants(draw):
    content = document()
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(sorted(places(content), key=str)))
        target = content
        for key in way:
            target = target[key]
        if draw(st.booleans()):
            target[last] = draw(values)
        else:
            del target[last]
        if not content:
            break
    return content


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mutants())
def test_mutated_files_are_read_or_refused_and_nothing_else(tmp_path, pictures, content):
    path = written(tmp_path, content)
    try:
        coco = load_coco(path)
        samples = keypoint_samples(coco, pictures, report=lambda _: None)
    except InputError as error:
        text = str(error)
        assert str(tmp_path) in text
        assert "\n" not in text
        text.encode()
        return
    assert isinstance(samples, KeypointSamples)
    assert len(samples) > 0
    assert np.isfinite(samples.keypoints).all()
    assert np.isfinite(samples.boxes_xyxy).all()
    assert set(samples.image_index) <= set(range(len(samples.image_paths)))
    assert len(set(samples.sample_ids.tolist())) == len(samples)
    for annotation in coco.annotations["annotations"]:
        assert len(annotation["keypoints"]) == 3 * coco.schema.num_keypoints
        assert annotation["area"] >= 0
