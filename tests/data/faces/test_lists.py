from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kptkit import files
from kptkit.data.faces import lists as face_lists
from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.lists import demo_lists, load_faces
from kptkit.demo.dataset import write_demo_data
from kptkit.errors import InputError

SCENES = {"train_images": 6, "val_images": 2}


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    return demo_lists(tmp_path_factory.mktemp("lists") / "demo", **SCENES)


def test_a_picture_of_two_lists_stands_in_one_set(lists):
    (faces,), made_from = load_faces(lists)
    assert len(faces.image_paths) == 6
    assert faces.complete
    known = np.isfinite(faces.landmarks).all(axis=(1, 2))
    lines = lists.landmarks[0].read_text().splitlines()
    assert known.sum() == len(lines) > 3
    # The demo's own faces, in the order of its list.
    expected = [[float(n) for n in line.split()[5:]] for line in lines]
    np.testing.assert_allclose(
        np.sort(faces.landmarks[known].reshape(-1, 10), axis=0),
        np.sort(np.array(expected, np.float32), axis=0),
    )
    assert [entry["list"] for entry in made_from] == [
        "wider_face_train_bbx_gt.txt",
        "face_landmarks_train.txt",
    ]
    assert made_from[0]["sha256"] == files.sha256(lists.annotations[0])


def test_landmarks_alone_are_no_background(lists):
    only = FaceLists(landmarks=lists.landmarks, landmark_images=lists.images)
    (faces,), _ = load_faces(only)
    assert not faces.complete


def test_several_lists_with_a_folder_each(lists):
    val = [Path(str(path).replace("_train", "_val")) for path in lists.annotations]
    both = FaceLists(annotations=(*lists.annotations, *val), images=lists.images * 2)
    sets, made_from = load_faces(both)
    assert [len(faces.image_paths) for faces in sets] == [6, 2]
    assert len(made_from) == 2


def test_without_lists_the_demo_set_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face_lists, "write_demo_data", lambda f: write_demo_data(f, **SCENES))
    (faces,), _ = load_faces(FaceLists())
    assert len(faces.image_paths) == 6
    assert (tmp_path / "data/demo/manifest.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ()}, "--images: 0 folders for 1 list;"),
        ({"images": (Path("a"), Path("b"))}, "--images: 2 folders for 1 list;"),
        ({"landmark_images": (Path("a"), Path("b"))}, "--landmark-images: 2 folders for 1"),
        ({"images": (Path("nowhere"),)}, "nowhere/train/000001.jpg: no such file.*right folder"),
        ({"annotations": (Path("nowhere.txt"),)}, "nowhere.txt: No such file"),
    ],
)
def test_unusable_flags(lists, changes, message):
    with pytest.raises(InputError, match=message):
        load_faces(replace(lists, **changes))


def test_a_list_given_twice_is_refused(lists):
    with pytest.raises(InputError, match=r"train_bbx_gt.txt and .*both list .*000001\.jpg"):
        load_faces(replace(lists, annotations=lists.annotations * 2))
