"""WIDER FACE's lists of easy, medium and hard faces: small lists of the same structure."""

import random

import numpy as np
import pytest
from scipy.io import savemat

from kptkit.data.faces.wider_subsets import SUBSETS, read_wider_subsets
from kptkit.errors import InputError
from kptkit.samples import FaceSamples

# Two events of two and one pictures; boxes x y w h.
BOXES = {
    "0--Parade": {"a_1": [[5, 6, 10, 12], [50, 60, 8, 9]], "b": [[1, 1, 0, 0], [1, 1, 30, 30]]},
    "1--Riot": {"a_1": [[5, 6, 10, 12]]},
}
HARD = {"0--Parade": {"a_1": [1, 2], "b": [2]}, "1--Riot": {"a_1": []}}
EASY = {"0--Parade": {"a_1": [1], "b": []}, "1--Riot": {"a_1": [1]}}


def cells(values):
    """A column of MATLAB cells."""
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def write_lists(folder, subsets, **options):
    for name, numbers in subsets.items():
        content = {
            "event_list": cells(list(BOXES)),
            "file_list": cells([cells(list(own)) for own in BOXES.values()]),
            "face_bbx_list": cells(
                [cells([np.array(b, np.int32) for b in own.values()]) for own in BOXES.values()]
            ),
            "gt_list": cells(
                [
                    cells([np.array(n, np.uint8).reshape(-1, 1) for n in own.values()])
                    for own in numbers.values()
                ]
            ),
        }
        savemat(folder / f"wider_{name}_val.mat", content, **options)


def samples(paths, image_index, boxes_xywh):
    boxes = np.array(boxes_xywh, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return FaceSamples(
        image_paths=tuple(paths),
        image_index=np.array(image_index, np.int64),
        boxes_xyxy=boxes,
        ignored=np.zeros(len(boxes), bool),
        landmarks=np.full((len(boxes), 5, 2), np.nan),
        complete=True,
    )


@pytest.fixture
def lists(tmp_path):
    write_lists(tmp_path, {"easy": EASY, "medium": EASY, "hard": HARD})
    return tmp_path


def test_no_pictures(lists):
    ignored = read_wider_subsets(lists, samples([], [], []))
    assert list(ignored) == list(SUBSETS)
    assert all(out.shape == (0,) and out.dtype == bool for out in ignored.values())


def test_faces_are_found_by_their_boxes(lists):
    """In any order, among other faces; the same name in another event is a different picture."""
    paths = ["/d/1--Riot/a_1.jpg", "/d/0--Parade/b.jpg", "/d/0--Parade/a_1.jpg"]
    parade = [[50, 60, 8, 9], [7, 7, 7, 7], [5, 6, 10, 12]]
    faces = samples(paths, [0, 2, 2, 2, 1], [[5, 6, 10, 12], *parade, [1, 1, 30, 30]])
    ignored = read_wider_subsets(lists, faces)
    assert ignored["easy"].tolist() == [False, True, True, False, True]
    assert ignored["hard"].tolist() == [True, False, True, False, False]


def test_a_picture_without_a_place_is_named(lists):
    with pytest.raises(InputError, match=r"wider_easy_val.mat: file_list: 0--Parade/c is missing"):
        read_wider_subsets(lists, samples(["/d/0--Parade/c.jpg"], [], []))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "No such file or directory; expected a list of WIDER FACE's tools"),
        ("empty", "empty; expected a list of WIDER FACE's tools"),
        ("text", "not a MATLAB file of version 5 to 7; expected a list of WIDER FACE's tools"),
        ("cut", "broken; expected a list of WIDER FACE's tools; is the file cut off"),
        ("other", "no variable 'file_list'; expected a list of WIDER FACE's tools"),
    ],
)
def test_what_is_no_list_is_refused(lists, damage, message):
    path = lists / "wider_medium_val.mat"
    whole = path.read_bytes()
    path.unlink()
    if damage == "other":
        savemat(path, {"event_list": cells(["a"])})
    elif damage != "missing":
        path.write_bytes(
            {"empty": b"", "text": b"a" * 999, "cut": whole[: len(whole) // 2]}[damage]
        )
    with pytest.raises(InputError, match=f"wider_medium_val.mat: {message}"):
        read_wider_subsets(lists, samples([], [], []))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"a_1": [1, 3], "b": []}, r"gt_list\{1\}\{1\}: expected numbers of faces, from 1 to 2"),
        ({"a_1": [0], "b": []}, r"gt_list\{1\}\{1\}: expected numbers of faces, from 1 to 2"),
        ({"a_1": [1]}, r"gt_list\{1\}: 1 cells; expected 2, as in file_list\{1\}"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(lists, numbers, message):
    write_lists(lists, {"hard": HARD | {"0--Parade": numbers}})
    with pytest.raises(InputError, match=f"wider_hard_val.mat: {message}"):
        read_wider_subsets(lists, samples([], [], []))


def test_broken_bytes_give_one_line(lists):
    """Files with a few changed bytes, some of which crash SciPy's reader, are read or refused."""
    path = lists / "wider_easy_val.mat"
    write_lists(lists, {"easy": EASY}, do_compression=False)
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(124, len(content))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            read_wider_subsets(lists, samples([], [], []))
        except InputError as error:
            refused += "\n" not in str(error)
    assert refused > 100
