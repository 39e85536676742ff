"""A typical Python miner of MTCNN's crops, reimplemented as a baseline.

As in AITTSMD/MTCNN-Tensorflow, which follows Seanlinx/mtcnn: windows are drawn one by one, each is
compared with all boxes of its picture by a few NumPy calls, resized bilinearly, written as a JPEG
file of its own, and listed in a text file with its offsets in two decimals. The one difference is a
limit on the attempts, without which it hangs on a picture full of faces.
"""

from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from kptkit.samples import FaceSamples

SIZE = 12
NEGATIVES, NEAR, AROUND = 50, 5, 20
SMALLEST_FACE = 20
MOST_TRIES = 5_000


class UsualMiner:
    """Mines pictures into `folder`/{positive,part,negative} and three text files.

    Attributes:
        counts: crops written so far, by kind.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.counts = {"positive": 0, "part": 0, "negative": 0}
        self._lists: dict[str, TextIO] = {}
        for kind in self.counts:
            (folder / kind).mkdir(parents=True)
            self._lists[kind] = open(folder / f"{kind}.txt", "w")  # noqa: SIM115

    def close(self) -> None:
        for file in self._lists.values():
            file.close()

    def mine(self, samples: FaceSamples, seed: int) -> None:
        """Mines all pictures of a set."""
        rng = np.random.RandomState(seed)
        for place, path in enumerate(samples.image_paths):
            data = np.frombuffer(Path(path).read_bytes(), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            boxes = samples.boxes_xyxy[samples.of_image(place)]
            self._negatives(rng, image, boxes)
            for box in boxes:
                x1, y1, x2, y2 = box
                if max(x2 - x1, y2 - y1) >= SMALLEST_FACE and x1 >= 0 and y1 >= 0:
                    self._near(rng, image, boxes, box)
                    self._around(rng, image, box)

    def _negatives(self, rng: np.random.RandomState, image: np.ndarray, boxes: np.ndarray) -> None:
        height, width = image.shape[:2]
        found = 0
        for _ in range(MOST_TRIES):
            if found == NEGATIVES:
                return
            size = rng.randint(SIZE, min(width, height) // 2)
            x, y = rng.randint(0, width - size), rng.randint(0, height - size)
            window = np.array([x, y, x + size, y + size])
            if np.max(iou(window, boxes), initial=0) < 0.3:
                self._write("negative", image, window)
                found += 1

    def _near(
        self, rng: np.random.RandomState, image: np.ndarray, boxes: np.ndarray, box: np.ndarray
    ) -> None:
        height, width = image.shape[:2]
        x1, y1, x2, y2 = box
        for _ in range(NEAR):
            size = rng.randint(SIZE, min(width, height) // 2)
            x = int(max(0, x1 + rng.randint(max(-size, -int(x1)), int(x2 - x1))))
            y = int(max(0, y1 + rng.randint(max(-size, -int(y1)), int(y2 - y1))))
            if x + size > width or y + size > height:
                continue
            window = np.array([x, y, x + size, y + size])
            if np.max(iou(window, boxes)) < 0.3:
                self._write("negative", image, window)

    def _around(self, rng: np.random.RandomState, image: np.ndarray, box: np.ndarray) -> None:
        height, width = image.shape[:2]
        x1, y1, x2, y2 = box
        w, h = x2 - x1, y2 - y1
        for _ in range(AROUND):
            size = rng.randint(int(min(w, h) * 0.8), int(np.ceil(1.25 * max(w, h))))
            if int(w * 0.2) == 0 or int(h * 0.2) == 0:
                continue
            shift_x = rng.randint(-int(w * 0.2), int(w * 0.2))
            shift_y = rng.randint(-int(h * 0.2), int(h * 0.2))
            x = int(max(x1 + w / 2 + shift_x - size / 2, 0))
            y = int(max(y1 + h / 2 + shift_y - size / 2, 0))
            if x + size > width or y + size > height:
                continue
            window = np.array([x, y, x + size, y + size])
            overlap = iou(window, box.reshape(1, -1))[0]
            if overlap >= 0.4:
                kind = "positive" if overlap >= 0.65 else "part"
                self._write(kind, image, window, (box - window) / float(size))

    def _write(
        self,
        kind: str,
        image: np.ndarray,
        window: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> None:
        x1, y1, x2, y2 = window
        crop = cv2.resize(image[y1:y2, x1:x2, :], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        path = f"{self.folder}/{kind}/{self.counts[kind]}.jpg"
        with open(path, "wb") as file:
            file.write(cv2.imencode(".jpg", crop)[1])
        label = {"positive": "1", "part": "-1", "negative": "0"}[kind]
        numbers = [] if offsets is None else [f"{offset:.2f}" for offset in offsets]
        self._lists[kind].write(" ".join([path, label, *numbers]) + "\n")
        self.counts[kind] += 1


def iou(window: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """IoU (N,) of a window (4,) with boxes (N, 4), with inclusive pixels (sides + 1)."""
    area = (window[2] - window[0] + 1) * (window[3] - window[1] + 1)
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    left, top = np.maximum(window[0], boxes[:, 0]), np.maximum(window[1], boxes[:, 1])
    right, bottom = np.minimum(window[2], boxes[:, 2]), np.minimum(window[3], boxes[:, 3])
    overlap = np.maximum(0, right - left + 1) * np.maximum(0, bottom - top + 1)
    return overlap / (area + areas - overlap)
