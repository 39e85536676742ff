"""A few annotated persons and faces on small pictures."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from kptkit import images
from kptkit.samples import FaceSamples, KeypointSamples
from kptkit.skeletons.known import COCO_17

NUM_IMAGES, NUM_PERSONS = 4, 11
IMAGE_WH = (200, 150)


@pytest.fixture
def persons(tmp_path: Path) -> KeypointSamples:
    """Eleven persons on four JPEGs of smooth noise in tmp_path/images; some joints unlabelled."""
    rng = np.random.default_rng(0)
    paths = tuple(str(tmp_path / "images" / f"{index}.jpg") for index in range(NUM_IMAGES))
    for path in paths:
        noise = rng.integers(0, 256, (IMAGE_WH[1], IMAGE_WH[0], 3)).astype(np.uint8)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
        images.write_image(path, picture)
    low = rng.uniform(5, 90, (NUM_PERSONS, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 50, (NUM_PERSONS, 2))], axis=1)
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    points = boxes[:, None, :2] + rng.uniform(size=(NUM_PERSONS, 17, 2)) * sides
    visibility = rng.integers(0, 3, (NUM_PERSONS, 17, 1))
    return KeypointSamples(
        schema=COCO_17,
        image_paths=paths,
        image_ids=np.arange(NUM_IMAGES) + 100,
        image_wh=np.full((NUM_IMAGES, 2), IMAGE_WH, np.int32),
        image_index=np.arange(NUM_PERSONS) % NUM_IMAGES,
        sample_ids=np.arange(NUM_PERSONS) * 7 + 3,
        boxes_xyxy=boxes.astype(np.float32),
        keypoints=np.concatenate([points, visibility], axis=2).astype(np.float32),
        box_scores=np.ones(NUM_PERSONS, np.float32),
    )


@pytest.fixture(scope="session")
def shared_faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSamples:
    """Fifty faces on forty small PNGs, with landmarks; two are ignored. Read only."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(1)
    paths = tuple(str(folder / "images" / f"{index:02d}.png") for index in range(40))
    for path in paths:
        images.write_image(path, rng.integers(0, 256, (60, 80, 3)).astype(np.uint8))
    low = rng.uniform(0, 30, (50, 2))
    boxes = np.concatenate([low, low + rng.uniform(16, 28, (50, 2))], axis=1)
    relative = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    points = low[:, None] + relative * (boxes[:, None, 2:] - low[:, None])
    return FaceSamples(
        image_paths=paths,
        image_index=np.sort(rng.integers(0, 40, 50)),
        boxes_xyxy=boxes.astype(np.float32),
        ignored=np.arange(50) % 25 == 7,
        landmarks=points.astype(np.float32),
        complete=True,
    )


@pytest.fixture
def faces(shared_faces: FaceSamples, tmp_path: Path) -> FaceSamples:
    """`shared_faces`, with their own pictures in tmp_path/images."""
    shutil.copytree(Path(shared_faces.image_paths[0]).parent, tmp_path / "images")
    names = [Path(path).name for path in shared_faces.image_paths]
    paths = tuple(str(tmp_path / "images" / name) for name in names)
    return replace(shared_faces, image_paths=paths)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two black pictures of 100x80 pixels, 1.png and 2.png."""
    folder = tmp_path / "pictures"
    for number in (1, 2):
        images.write_image(folder / f"{number}.png", np.zeros((80, 100, 3), np.uint8))
    return folder
