"""WIDER FACE's lists of easy, medium and hard faces, from small ones in the same form."""

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


def write_lists(folder, subsets):
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
        savemat(folder / f"wider_{name}_val.mat", content)


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
    """In any order, with others between; the same name in another event is another picture."""
    paths = ["/d/1--Riot/a_1.jpg", "/d/0--Parade/b.jpg", "/d/0--Parade/a_1.jpg"]
    parade = [[50, 60, 8, 9], [7, 7, 7, 7], [5, 6, 10, 12]]
    faces = samples(paths, [0, 2, 2, 2, 1], [[5, 6, 10, 12], *parade, [1, 1, 30, 30]])
    ignored = read_wider_subsets(lists, faces)
    assert ignored["easy"].tolist() == [False, True, True, False, True]
    assert ignored["hard"].tolist() == [True, False, True, False, False]


def test_a_picture_without_a_place_is_named(lists):
    with pytest.raises(InputError, match=r"wider_easy_val.mat: file_list: 0--Parade/c is missing"):
        read_wider_subsets(lists, samples(["/d/0--Parade/c.jpg"], [], []))


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "other"])
def test_what_is_no_list_is_refused(lists, damage):
    path = lists / "wider_medium_val.mat"
    whole = path.read_bytes()
    path.unlink()
    if damage == "other":
        savemat(path, {"event_list": cells(["a"])})
    elif damage != "missing":
        path.write_bytes(
            {"empty": b"", "text": b"a" * 999, "cut": whole[: len(whole) // 2]}[damage]
        )
    expected = "no such file" if damage == "missing" else "not a list"
    with pytest.raises(InputError, match=f"wider_medium_val.mat: {expected}"):
        read_wider_subsets(lists, samples([], [], []))
