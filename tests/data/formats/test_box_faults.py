"""Files whose boxes, keypoints or areas mean something else than COCO's, and sound ones."""

import numpy as np
import pytest
from support.coco_files import document, person, written

from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    PictureFolder,
    build_annotation_file,
)
from kptkit.data.formats.coco import inspect_coco, load_coco
from kptkit.data.to_samples import usable_persons
from kptkit.errors import InputError
from kptkit.metrics.oks import evaluate_oks
from kptkit.skeletons.known import LSP_14

W, H = 100, 80
POINTS = np.array([[12.0, 22], [40, 60], [15, 30]])
LEFT, TOP, RIGHT, BOTTOM = 10.0, 20.0, 42.0, 64.0
WIDTH, HEIGHT = RIGHT - LEFT, BOTTOM - TOP


def persons(box, points=POINTS, count=4, **changes):
    keypoints = np.column_stack([points, [2, 2, 2]]).ravel().tolist()
    made = {"bbox": list(box), "keypoints": keypoints, "num_keypoints": 3} | changes
    return [person(number, **made) for number in range(count)]


SOUND = persons([LEFT, TOP, WIDTH, HEIGHT])
CENTRED = [LEFT + WIDTH / 2, TOP + HEIGHT / 2, WIDTH, HEIGHT]
# How boxes were written, with keypoints of which those boxes hold one.
FORMS = [
    ("the centre's x and y, width, height", CENTRED, POINTS),
    (
        "x and y less half the size, as made from a centre",
        [LEFT - WIDTH / 2, TOP - HEIGHT / 2, WIDTH, HEIGHT],
        [[12.0, 22], [40, 60], [35, 55]],
    ),
    ("y, x, height, width", [5, 58, 30, 25], [[60.0, 5], [70, 20], [80, 30]]),
    ("y1, x1, y2, x2", [5, 58, 35, 83], [[60.0, 6], [61, 33], [70, 20]]),
]


def errors_of(tmp_path, annotations):
    _, faults = inspect_coco(written(tmp_path, document(*annotations)))
    return [str(fault) for fault in faults if fault.level == "error"]


def notices_of(tmp_path, annotations):
    _, faults = inspect_coco(written(tmp_path, document(*annotations)))
    return [str(fault) for fault in faults if fault.level == "notice"]


@pytest.mark.parametrize(
    "annotations",
    [
        SOUND,
        [person(1), person(2)],
        persons([LEFT, TOP, WIDTH, HEIGHT], points=np.array([[-9, -9], [99, 79], [20, 30]]))[:1]
        + SOUND[1:],
        persons([0, 0, W, H]),
        # Crowds and persons of one keypoint say nothing about boxes.
        SOUND[:1] + [a | {"id": a["id"] + 9} for a in persons([60, 5, 9, 9], iscrowd=1)],
        [person(n, bbox=[60, 5, 9, 9], keypoints=[12, 22, 2] + [0] * 6) for n in range(3)],
    ],
)
def test_sound_files(tmp_path, annotations):
    assert errors_of(tmp_path, annotations) == []


@pytest.mark.parametrize(("form", "box", "points"), FORMS)
def test_boxes_of_another_form_are_named(tmp_path, form, box, points):
    (error,) = errors_of(tmp_path, persons(box, points))
    assert error.startswith("annotations.bbox: 4 of 4 have most of their person's keypoints out")
    assert f"; they fit as {form}" in error
    assert "expected [x, y, width, height] in pixels" in error


def test_corners(tmp_path):
    (error,) = errors_of(tmp_path, persons([58, 42, 90, 78], POINTS + np.array([50, 18])))
    assert "4 of 4 leave their pictures but fit as x1, y1, x2, y2" in error


@pytest.mark.parametrize(
    "box",
    [
        [LEFT / W, TOP / H, WIDTH / W, HEIGHT / H],
        [(LEFT + WIDTH / 2) / W, (TOP + HEIGHT / 2) / H, WIDTH / W, HEIGHT / H],
        [LEFT / W, TOP / H, RIGHT / W, BOTTOM / H],
    ],
)
@pytest.mark.parametrize("points", [POINTS, POINTS / [W, H]])
def test_shares_of_the_picture(tmp_path, box, points):
    assert any("4 of 4 lie within 0 to 1" in e for e in errors_of(tmp_path, persons(box, points)))


def test_keypoints_as_shares_of_the_picture(tmp_path):
    (error,) = errors_of(tmp_path, persons([LEFT, TOP, WIDTH, HEIGHT], POINTS / [W, H]))
    assert error.startswith("annotations.keypoints: those of 4 of 4 persons lie within 0 to 1")


def test_boxes_that_nothing_explains(tmp_path):
    (error,) = errors_of(tmp_path, persons([90, 70, 5, 5]))
    assert "they fit" not in error
    assert "have most of their person's keypoints outside; expected [x, y" in error


@pytest.mark.parametrize(("odd", "refused"), [(1, False), (2, False), (3, True)])
def test_up_to_half_of_the_boxes_are_told_only(tmp_path, odd, refused):
    annotations = persons(CENTRED)[:odd] + SOUND[odd:]
    assert bool(errors_of(tmp_path, annotations)) == refused
    told = [n for n in notices_of(tmp_path, annotations) if "keypoints outside" in n]
    assert [n.split(" have")[0] for n in told] == [f"annotations.bbox: {odd} of 4"] * (not refused)


def test_positions_of_other_formats_beside_their_keypoints(tmp_path):
    """Such as positions or scales in other units, from which boxes are made."""
    keypoints = np.column_stack([np.linspace(20, 60, 14), np.linspace(9, 70, 14), [2] * 14])
    for box, refused in (([10, 5, 70, 75], False), ([80, 5, 95, 30], True)):
        entry = Entry("[0]", "1.png", keypoints, np.array(box, float), (W, H))
        findings = Findings("x", [entry])
        _, faults = build_annotation_file(
            findings, DataSetInfo(LSP_14, "pck_torso"), PictureFolder(tmp_path)
        )
        errors = [f.what for f in faults if f.level == "error"]
        assert bool(errors) == refused
        assert all("expected positions and keypoints in pixels" in e for e in errors)


AREA = 0.53 * WIDTH * HEIGHT


@pytest.mark.parametrize(
    ("changes", "area", "notice"),
    [
        ({"area": None}, AREA, "missing; 0.53"),
        ({"area": 0}, AREA, "below 1 square pixel; 0.53"),
        ({"area": 0.17}, AREA, "below 1 square pixel; 0.53"),  # a share of the picture
        ({"area": 1}, 1, None),
        ({"area": 1400}, 1400, None),
        ({"area": 2200}, 2200, "more than 1.5 of the box's"),
        ({"area": 0, "iscrowd": 1}, 0, None),
        ({"area": 0, "keypoints": [0] * 9, "num_keypoints": 0}, 0, None),
        ({"area": 0.5, "bbox": [10, 20, 1, 1]}, 0.5, None),
    ],
)
def test_areas_that_cannot_be_a_persons(tmp_path, changes, area, notice):
    annotations = persons([LEFT, TOP, WIDTH, HEIGHT], count=1, **changes)
    others = [a | {"id": a["id"] + 9} for a in SOUND]
    coco = load_coco(written(tmp_path, document(*annotations, *others)))
    assert coco.annotations["annotations"][0]["area"] == pytest.approx(area)
    told = [n for n in coco.notices if "annotations.area" in n]
    assert len(told) == (notice is not None)
    assert all(notice in n for n in told)


def test_a_file_of_zero_areas_is_trained_on_and_judged(tmp_path):
    """It was fit for training, said the check, and had nobody to train on."""
    coco = load_coco(written(tmp_path, document(*(a | {"area": 0} for a in SOUND))))
    assert len(usable_persons(coco)[0]) == 4
    results = [
        {"image_id": 1, "category_id": 5, "keypoints": a["keypoints"], "score": 1.0} for a in SOUND
    ]
    assert evaluate_oks(coco.annotations, results, (0.05,) * 3)["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize("missing", [None, [], "absent"])
@pytest.mark.parametrize("stated", [None, 0, 3])
def test_persons_without_keypoints(tmp_path, missing, stated):
    """A person without keypoints is one without labelled keypoints; lost ones are counted."""
    (bare,) = persons([LEFT, TOP, WIDTH, HEIGHT], count=1, keypoints=missing, num_keypoints=stated)
    if missing == "absent":
        del bare["keypoints"]
    file, faults = inspect_coco(written(tmp_path, document(bare, *SOUND[1:])))
    first = file.annotations["annotations"][0]
    assert (first["keypoints"], first["num_keypoints"]) == ([0] * 9, 0)
    assert len(usable_persons(file)[0]) == 3
    (fault,) = [f for f in faults if "keypoints" in f.where and "num" not in f.where]
    assert fault.level == ("skip" if stated else "notice")
    assert ("but num_keypoints is 3" in fault.what) == bool(stated)


def test_too_many_lost_keypoints_are_refused(tmp_path):
    lost = [a | {"keypoints": None} for a in persons([LEFT, TOP, WIDTH, HEIGHT], count=11)]
    others = [a | {"id": a["id"] + 20} for a in SOUND]
    with pytest.raises(InputError, match=r"but num_keypoints is 3.*more than 10 and than 1%"):
        load_coco(written(tmp_path, document(*lost, *others)))


def two_categories(*keypoints):
    content = document(*SOUND[:2], *(a | {"category_id": 6} for a in SOUND[2:]))
    content["categories"][1] |= {"name": "rider", "keypoints": list(keypoints)}
    return content


def test_categories_of_the_same_keypoints_are_one(tmp_path):
    path = written(tmp_path, two_categories("nose", "left_eye", "right_eye"))
    coco = load_coco(path)
    assert [a["category_id"] for a in coco.annotations["annotations"]] == [5] * 4
    assert [c["id"] for c in coco.annotations["categories"]] == [5]
    assert coco.annotations["categories"][0]["merged_ids"] == [6]
    assert "'person', 'rider' have the same keypoints and are read as one" in coco.notices[0]
    results = [
        {"image_id": 1, "category_id": 5, "keypoints": a["keypoints"], "score": 1.0} for a in SOUND
    ]
    assert evaluate_oks(coco.annotations, results, (0.05,) * 3)["AP"] == pytest.approx(1.0)
    rider = load_coco(path, category="rider")
    assert [a["id"] for a in rider.annotations["annotations"]] == [2, 3]


def test_categories_of_other_keypoints_or_another_order_are_not_one(tmp_path):
    for names in (("left_eye", "nose", "right_eye"), ("nose", "left_eye")):
        path = written(tmp_path, two_categories(*names))
        with pytest.raises(InputError, match=r"not the same; choose one with --data.category NAME"):
            load_coco(path)
