"""The flic of TensorFlow Datasets, built by its own code from a small examples.mat.

Only the download is replaced; so its reader and ours read the same file and must agree.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.mat_structs import mat_bytes, struct_array

from kptkit import images
from kptkit.commands import data_flic
from kptkit.data.formats.document import own_part
from kptkit.data.formats.flic import PLACES
from kptkit.data.formats.index import load_annotations
from kptkit.data.tfds_flic import write_example
from kptkit.data.to_samples import keypoint_samples
from kptkit.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def example(number, **changes):
    coords = np.full((2, 29), np.nan)
    coords[:, PLACES] = np.random.default_rng(number).uniform(100, 400, (2, 11))
    coords[:, 12] = np.nan
    # The order of the fields is FLIC's: TensorFlow Datasets goes by it.
    return {
        "poselet_hit_idx": np.array([[1, 2]], np.uint16),
        "moviename": "movie",
        "coords": coords,
        "filepath": f"movie-{number:08d}.jpg",
        "imgdims": [480, 720, 3],
        "currframe": float(number),
        "torsobox": [201.0, 101.0, 301.0, 301.0],
        "istrain": number < 30,
        "istest": number >= 30,
    } | changes


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """FLIC as it is unpacked."""
    folder = tmp_path_factory.mktemp("download") / "FLIC"
    examples = [example(number) for number in (10, 20, 30)]
    for row in examples:
        noise = np.random.default_rng(0).integers(0, 255, (480, 720, 3), np.uint8)
        images.write_image(folder / "images" / row["filepath"], cv2.blur(noise, (9, 9)))
    (folder / "examples.mat").write_bytes(mat_bytes(examples=struct_array(*examples)))
    return folder


@pytest.fixture(scope="module")
def data_dir(original, tmp_path_factory):
    """The data set as `tfds build flic/small` prepares it."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("flic/small", data_dir=folder)
    with pytest.MonkeyPatch.context() as patch:
        manager = tfds.download.DownloadManager
        patch.setattr(manager, "download_and_extract", lambda *_: str(original.parent))
        builder.download_and_prepare()
    return folder


def extract(data_dir, out):
    data_flic.main(data_flic.FlicConfig(data_dir, out))


def test_what_was_extracted_equals_what_examples_mat_holds(original, data_dir, tmp_path, capsys):
    extract(data_dir, tmp_path)
    assert "istrain: 2 persons\nistest: 1 person" in capsys.readouterr().out
    for part in ("train", "test"):
        read = []
        for path in (original / "examples.mat", tmp_path / "examples.json"):
            file = own_part(load_annotations(path, "flic", path.parent / "images"), part)
            read.append(keypoint_samples(file, path.parent / "images", report=lambda _: None))
        ours, theirs = read
        np.testing.assert_allclose(theirs.keypoints, ours.keypoints, rtol=1e-6)
        np.testing.assert_allclose(theirs.boxes_xyxy, ours.boxes_xyxy, rtol=1e-6)
        assert len(ours) == {"train": 2, "test": 1}[part]
        for ours_path, theirs_path in zip(ours.image_paths, theirs.image_paths, strict=True):
            assert Path(ours_path).name == Path(theirs_path).name
            assert Path(ours_path).read_bytes() == Path(theirs_path).read_bytes()


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(InputError, match=r"no prepared flic/small; run tfds build flic/small"):
        extract(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_stay_in_the_folder(tmp_path):
    for name in ("../x", "a/b", ""):
        row = {"moviename": name.encode() + b"/", "currframe": 3, "image": b""}
        with pytest.raises(InputError, match=r"moviename: .*; expected the name of a movie"):
            write_example(row, "train", tmp_path)
