"""FLIC's examples.mat here has the fields that TensorFlow Datasets reads.

In test_extract_tfds_flic.py its own reader reads the same file.
"""

import json

import numpy as np
import pytest
from support.mat_structs import mat_bytes, struct_array

from kptkit import images
from kptkit.data.formats.document import own_part
from kptkit.data.formats.flic import PLACES
from kptkit.data.formats.index import load_annotations
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError
from kptkit.skeletons.known import FLIC_11


def coords(seed=0, missing=(), from_behind=False):
    """2 x 29 coordinates: distinct values for the annotated points, NaN for the others."""
    array = np.full((2, 29), np.nan)
    array[:, PLACES] = np.random.default_rng(seed).uniform(100, 400, (2, 11))
    left, right = (300, 200) if not from_behind else (200, 300)
    array[0, 0], array[0, 3] = left, right
    array[:, [PLACES[n] for n in missing]] = np.nan
    return array


def example(**changes):
    return {
        "poselet_hit_idx": np.array([[1, 2]], np.uint16),
        "moviename": "movie",
        "coords": coords(),
        "filepath": "movie-00000010.jpg",
        "imgdims": [480, 720, 3],
        "currframe": 10,
        "torsobox": [201.0, 101.0, 301.0, 301.0],
        "istrain": True,
        "istest": False,
    } | changes


@pytest.fixture
def folder(tmp_path):
    for number in (10, 20, 30):
        path = tmp_path / f"movie-{number:08d}.jpg"
        images.write_image(path, np.zeros((480, 720, 3), np.uint8))
    return tmp_path


def write(folder, kind, *examples):
    if kind == "mat":
        path = folder / "examples.mat"
        path.write_bytes(mat_bytes(examples=struct_array(*examples)))
        return path
    rows = []
    for row in examples:
        if isinstance(row.get("coords"), np.ndarray):
            points = np.where(np.isfinite(row["coords"]), row["coords"], None)
            row = row | {"coords": points.tolist()}
        rows.append({key: value for key, value in row.items() if key != "poselet_hit_idx"})
    path = folder / "examples.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("kind", ["mat", "json"])
def test_persons_and_parts(folder, kind):
    path = write(
        folder,
        kind,
        example(),
        example(filepath="movie-00000020.jpg", istrain=False, istest=True, coords=coords(1, (6,))),
        example(filepath="movie-00000030.jpg", istrain=False, coords=coords(2)),
    )
    file = load_annotations(path, "flic", folder)
    assert file.schema == FLIC_11
    train = keypoint_samples(own_part(file, "train"), folder, report=lambda _: None)
    test = keypoint_samples(own_part(file, "test"), folder, report=lambda _: None)
    assert train.sample_ids.tolist() == [1, 3]
    assert test.sample_ids.tolist() == [2]
    assert test.protocol == "pck_torso"
    np.testing.assert_allclose(train.keypoints[0, :, :2], coords()[:, PLACES].T - 1, rtol=1e-6)
    assert (train.keypoints[..., 2] == 2).all()
    assert test.keypoints[0, :, 2].tolist() == [2] * 6 + [0] + [2] * 4
    # A square of 440 pixels at the torso's x, from 0, and half the picture's height.
    np.testing.assert_allclose(test.boxes_xyxy, [[250 - 220, 240 - 220, 250 + 220, 240 + 220]])
    np.testing.assert_array_equal(test.image_wh, [[720, 480]])


def test_windows_leave_the_picture(folder):
    path = write(folder, "mat", example(torsobox=[1, 1, 21, 300]), example())
    samples = keypoint_samples(
        load_annotations(path, "flic", folder), folder, report=lambda _: None
    )
    assert samples.boxes_xyxy[0].tolist() == [10 - 220, 20, 10 + 220, 460]


@pytest.mark.parametrize("from_behind", [False, True])
def test_observer_centric_labels(folder, from_behind):
    path = write(folder, "mat", example(coords=coords(0, (), from_behind)), example())
    own, seen = (
        keypoint_samples(load_annotations(path, name, folder), folder, report=lambda _: None)
        for name in ("flic", "flic-observer")
    )
    order = FLIC_11.flip_permutation if from_behind else range(11)
    np.testing.assert_array_equal(seen.keypoints[0], own.keypoints[0][list(order)])
    np.testing.assert_array_equal(seen.boxes_xyxy, own.boxes_xyxy)
    # The shoulder at image right is now always the left one.
    assert (seen.keypoints[:, 0, 0] > seen.keypoints[:, 3, 0]).all()


@pytest.mark.parametrize("kind", ["mat", "json"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filepath": 3}, r"filepath"),
        ({"filepath": "../a.jpg"}, r"picture '\.\./a\.jpg'; expected the path of a picture"),
        ({"coords": [[1, 2], [3, 4]]}, r"coords: 2 x 2 numbers; expected 2 x 29"),
        ({"coords": "x"}, r"coords: (a text; expected numbers|.* expected 2 x 29)"),
        ({"torsobox": [1, 2, 3]}, r"torsobox: expected four numbers, x1 y1 x2 y2"),
        ({"imgdims": [0, 0, 3]}, r"imgdims: expected the picture's height and width"),
        ({"istrain": "yes"}, r"istrain: .*; expected (true or false|1 number)"),
    ],
)
def test_faults_name_the_person(folder, kind, changes, message):
    path = write(folder, kind, example(), example(**changes))
    place = {"mat": r"examples\.mat: examples\(2\)", "json": r"examples\.json: \[1\]"}[kind]
    with pytest.raises(InputError, match=f"{place}.*{message}"):
        load_annotations(path, "flic", folder)


# float32, int32 and the arithmetic between them hold none of these.
ODD = (-1.0, 0.5, 1e7, 4.5e15, 2.0**63, 1e300, float("inf"), float("-inf"), float("nan"), 10**400)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("kind", ["mat", "json"])
@pytest.mark.parametrize("name", ["imgdims", "torsobox", "coords", "istrain"])
def test_no_number_of_a_field_is_more_than_one_line(folder, kind, name, value):
    """Whatever the number: the person is used, or refused in one line."""
    if kind == "mat" and value == 10**400:
        return  # MATLAB has no such numbers
    fields = {"imgdims": [value, 720, 3], "torsobox": [value, 1, 2, 3], "istrain": value}
    fields["coords"] = [[value] * 29] * 2
    if kind == "mat":
        path = write(folder, kind, example(), example(**{name: fields[name]}))
    else:
        path = write(folder, kind, example(), example(**{name: "HERE"}))
        text = json.dumps(fields[name]).replace("Infinity", "1e999").replace("NaN", "null")
        path.write_text(path.read_text().replace('"HERE"', text))
    try:
        file = load_annotations(path, "flic", folder)
    except InputError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017
        assert name in ("imgdims", "istrain") or value != value or abs(value) > 1e6
        return
    assert name not in ("imgdims", "istrain")
    samples = keypoint_samples(file, folder)
    assert np.isfinite(samples.boxes_xyxy).all()
    assert np.isfinite(samples.keypoints).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "examples.json: empty"),
        ("{}", "a dict at the top level; expected a list of objects with filepath, coords"),
        ("[]", "no valid one; expected at least one person"),
        ("[3]", r"\[0\]: 3; expected an object"),
    ],
)
def test_what_is_no_such_json(folder, text, message):
    path = folder / "examples.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_annotations(path, "flic", folder)


def test_another_mat_file(folder):
    path = folder / "examples.mat"
    path.write_bytes(mat_bytes(examples=np.zeros(3)))
    with pytest.raises(InputError, match=r"examples\.mat: examples: numbers; expected a struct"):
        load_annotations(path, "flic", folder)
