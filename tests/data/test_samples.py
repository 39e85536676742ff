import numpy as np
import pytest

from kptkit.data.samples import KeypointSamples
from kptkit.skeletons import COCO_17


@pytest.mark.parametrize("indices", [[], [1], [2, 0, 2]])
def test_select_takes_persons_and_keeps_images(indices):
    samples = KeypointSamples(
        schema=COCO_17,
        image_paths=("a.jpg", "b.jpg"),
        image_ids=np.array([7, 8]),
        image_wh=np.array([[4, 3], [6, 5]], np.int32),
        image_index=np.array([0, 1, 1]),
        sample_ids=np.array([10, 11, 12]),
        boxes_xyxy=np.arange(12, dtype=np.float32).reshape(3, 4),
        keypoints=np.arange(3 * 17 * 3, dtype=np.float32).reshape(3, 17, 3),
        box_scores=np.array([0.1, 0.2, 0.3], np.float32),
        orientation="exif",
    )
    chosen = samples.select(indices)
    assert len(chosen) == len(indices)
    assert chosen.sample_ids.tolist() == [10 + index for index in indices]
    assert chosen.image_index.tolist() == [[0, 1, 1][index] for index in indices]
    assert chosen.boxes_xyxy[:, 0].tolist() == [4.0 * index for index in indices]
    assert chosen.keypoints.shape == (len(indices), 17, 3)
    assert chosen.image_paths == samples.image_paths
    assert chosen.orientation == "exif"
    assert len(samples) == 3
