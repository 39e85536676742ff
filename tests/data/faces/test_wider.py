import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kptkit.data.faces.wider import read_wider
from kptkit.errors import InputError

RECORD = "0--Parade/a.jpg\n2\n1 2 30 40 0 0 0 0 0 0\n5 6 7 8 2 1 1 1 2 1\n"


def read(tmp_path, text):
    path = tmp_path / "faces.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    notices = []
    return read_wider(path, "images", notices.append), notices


def test_a_record(tmp_path):
    faces, notices = read(tmp_path, RECORD)
    assert faces.image_paths == ("images/0--Parade/a.jpg",)
    assert faces.boxes_xyxy.tolist() == [[1, 2, 31, 42], [5, 6, 12, 14]]
    assert faces.ignored.tolist() == [False, True]  # the eighth number is the invalid flag
    assert faces.complete
    assert np.isnan(faces.landmarks).all()
    assert faces.landmarks.shape == (2, 5, 2)
    assert notices == []


EMPTY = "b.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    ("text", "names", "counts"),
    [
        (RECORD.replace("\n", "\r\n"), ["0--Parade/a.jpg"], [2]),
        (RECORD.replace(" ", "\t "), ["0--Parade/a.jpg"], [2]),
        ("\n" + RECORD.replace("\n", "  \n\n"), ["0--Parade/a.jpg"], [2]),
        (b"\xef\xbb\xbf" + RECORD.encode(), ["0--Parade/a.jpg"], [2]),
        (RECORD.rstrip("\n"), ["0--Parade/a.jpg"], [2]),
        (
            RECORD.replace("a.jpg", "at  the\u2028fair é.jpg"),
            ["0--Parade/at  the\u2028fair é.jpg"],
            [2],
        ),
        (RECORD.replace("/", "\\"), ["0--Parade/a.jpg"], [2]),
        (EMPTY + RECORD, ["b.jpg", "0--Parade/a.jpg"], [0, 2]),
        (RECORD + EMPTY, ["0--Parade/a.jpg", "b.jpg"], [2, 0]),
        ("b.jpg\n0\n" + RECORD, ["b.jpg", "0--Parade/a.jpg"], [0, 2]),
        (RECORD + "b.jpg\n0\n", ["0--Parade/a.jpg", "b.jpg"], [2, 0]),
        ("b.jpg\n1\n1.5 2 3e1 4\n", ["b.jpg"], [1]),
        ("7\n1\n1 2 3 4\n", ["7"], [1]),
    ],
)
def test_what_lists_of_strangers_look_like(tmp_path, text, names, counts):
    faces, _ = read(tmp_path, text)
    assert [os.path.relpath(path, "images") for path in faces.image_paths] == names
    assert [len(faces.of_image(place)) for place in range(len(names))] == counts


def test_boxes_without_area_are_left_out(tmp_path):
    faces, notices = read(tmp_path, RECORD + "b.jpg\n3\n1 2 0 5 0 0\n1 2 3 4 0 0\n1 2 3 0 0 0\n")
    assert faces.image_index.tolist() == [0, 0, 1]
    assert len(notices) == 1
    assert "line 7, and 1 more" in notices[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (b"caf\xe9.jpg\n0\n", r"byte 3 \(0xe9\) is not UTF-8"),
        (EMPTY, "no faces in 1 pictures"),
        ("a.jpg\n", "line 1: the list ends here; expected the number of faces of a.jpg"),
        ("a.jpg\n2\n1 2 3 4\n", "line 3: the list ends after 1 of 2 faces of a.jpg"),
        ("a.jpg\n-1\n", "line 2: '-1'; expected the number of faces of a.jpg"),
        ("a.jpg\none\n1 2 3 4\n", "line 2: 'one'"),
        (f"a.jpg\n{'9' * 5000}\n1 2 3 4\n", "line 2: '999.*expected the number of faces"),
        (f"a.jpg\n{'9' * 9}\n1 2 3 4\n", "line 3: the list ends after 1 of 999999999 faces"),
        ("a.jpg\n²\n1 2 3 4\n", "line 2: '²'"),
        ("a.jpg\n1\n1 2 3\n", "line 3: '1 2 3'; expected left, top, width and height"),
        ("a.jpg\n1\n1 2 3 nan\n", "line 3: '1 2 3 nan'"),
        ("a.jpg\n1\n1 2 3 inf\n", "line 3"),
        ("a.jpg\n1\n1 2 3 1e9\n", "line 3"),
        ("a.jpg\n1\n1 2 -3 4\n", "line 3: width -3 and height 4; expected none below 0"),
        ("a.jpg\n2\n1 2 3 4\nb.jpg\n1\n1 2 3 4\n", "line 4: 'b.jpg'; .*number of faces above"),
        ("a.jpg\n1\n1 2 3 4\n1 2 3 4\n", "line 4: '1 2 3 4'; .*name of a picture.*right"),
        (RECORD + RECORD, "line 5: 0--Parade/a.jpg is already listed in line 1"),
        ("../a.jpg\n1\n1 2 3 4\n", "line 1: '../a.jpg'; .*inside its folder"),
        ("/a.jpg\n1\n1 2 3 4\n", "line 1: '/a.jpg'"),
    ],
)
def test_faults_name_the_line(tmp_path, text, message):
    with pytest.raises(InputError, match=f"^{tmp_path}/faces.txt: .*{message}"):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_no_list_at_all(tmp_path, name):
    with pytest.raises(InputError, match="WIDER FACE's format"):
        read_wider(tmp_path / name, "images")


def test_real_list():
    data = os.environ.get("KPTKIT_DATA")
    if not data:
        pytest.skip("KPTKIT_DATA is not set")
    split = Path(data, "wider/wider_face_split")
    faces = read_wider(split / "train_bbx_gt.txt", Path(data, "wider/images"))
    assert (len(faces.image_paths), len(faces), faces.ignored.sum()) == (90, 2381, 15)
    assert all(Path(path).exists() for path in faces.image_paths)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 130), junk=st.binary(max_size=4), cut=st.integers(0, 4))
def test_any_damage_is_read_or_refused(tmp_path_factory, place, junk, cut):
    sound = (RECORD + EMPTY + RECORD.replace("a.jpg", "c.jpg")).encode()
    path = tmp_path_factory.getbasetemp() / "damaged.txt"
    path.write_bytes(sound[:place] + junk + sound[place + cut :])
    try:
        faces = read_wider(path, "images", lambda line: None)
    except InputError as error:
        told = str(error)
    else:
        told = f"{path}: {len(faces)} faces"
        assert np.isfinite(faces.boxes_xyxy).all()
        assert (faces.boxes_xyxy[:, 2:] >= faces.boxes_xyxy[:, :2]).all()
    assert told.startswith(f"{path}: ")
