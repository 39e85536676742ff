"""The miner that benchmarks measure against does what it stands for."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from kptkit import images
from kptkit.geometry import boxes
from kptkit.samples import FaceSamples

FILE = Path(__file__).parents[2] / "benchmarks" / "usual_miner.py"


@pytest.fixture(scope="module")
def usual():
    spec = importlib.util.spec_from_file_location("usual_miner", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("num_faces", [0, 2])
def test_it_mines(usual, tmp_path, num_faces):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    images.write_image(path, rng.integers(0, 256, (120, 160, 3)).astype(np.uint8))
    faces = FaceSamples(
        image_paths=(str(path),),
        image_index=np.zeros(num_faces, np.int64),
        boxes_xyxy=np.array([[20, 20, 60, 64], [90, 50, 130, 90]], np.float32)[:num_faces],
        ignored=np.zeros(num_faces, bool),
        landmarks=np.full((num_faces, 5, 2), np.nan, np.float32),
        complete=True,
    )
    miner = usual.UsualMiner(tmp_path / "crops")
    miner.mine(faces, seed=0)
    miner.close()
    assert miner.counts["negative"] >= usual.NEGATIVES
    for kind, count in miner.counts.items():
        lines = (tmp_path / f"crops/{kind}.txt").read_text().splitlines()
        assert len(lines) == count
        assert all(images.read_image(line.split()[0]).shape == (12, 12, 3) for line in lines[:5])
    shown = miner.counts["positive"] + miner.counts["part"]
    assert (shown > 0.5 * usual.AROUND) == (num_faces > 0)


def test_its_overlap_counts_pixels(usual):
    window, found = np.array([10, 10, 29, 29]), np.array([[10, 10, 29, 24], [50, 50, 60, 60]])
    as_edges = np.array([0, 0, 1, 1])
    expected = boxes.iou([window + as_edges], found + as_edges)[0]
    np.testing.assert_allclose(usual.iou(window, found), expected)
