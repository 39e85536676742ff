"""A few annotated persons on small pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kptkit import images
from kptkit.data.samples import KeypointSamples
from kptkit.skeletons import COCO_17

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
