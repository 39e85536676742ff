"""A landmark network on training and held-out faces, drawn without the photos.

    python benchmarks/landmarks.py --run runs/face68 --out docs/face68.png

Lines are predictions, red dots ground truth. The photos are not drawn, since face data sets may not
be redistributed.
"""

from kptkit import flags, quiet

quiet.import_tensorflow()

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kptkit.data.pose_flags import DataConfig
from kptkit.data.pose_sets import PoseSet, load_pose_data
from kptkit.evaluate.pose import evaluate_pose
from kptkit.images import drawing
from kptkit.images.codec import write_image
from kptkit.metrics import protocols
from kptkit.pose.estimator import PoseEstimator
from kptkit.runs import PoseRun, load_run
from kptkit.skeletons.schema import KeypointSchema

SIDE = 200


@dataclass(frozen=True)
class Config:
    """Which run, and where to write the picture."""

    run: Path = Path("runs/face68")
    out: Path = Path("docs/face68.png")


def main(config: Config) -> None:
    """Prints the metrics of both sets and draws all faces, held-out ones last."""
    estimator = PoseEstimator.from_run(config.run, "last.npz")
    data = load_pose_data(DataConfig(**load_run(config.run, PoseRun).data))
    faces = []
    for name, persons in (("learned", data.train), ("held out", data.held_out)):
        faces += judged(name, estimator, persons)
    write_image(config.out, drawing.contact_sheet(faces, columns=7, cell_wh=(SIDE, SIDE)))
    print(f"written: {config.out}")


def judged(name: str, estimator: PoseEstimator, persons: PoseSet) -> list[np.ndarray]:
    """Prints the errors of the predictions, and draws predictions and truth."""
    evaluation = evaluate_pose(estimator, persons.source, persons.truth)
    samples = evaluation.samples
    print(f"{name}: {len(samples)} faces")
    print(protocols.format_table(samples.protocol, evaluation.metrics))
    return [
        drawn(predicted, true, samples.schema)
        for predicted, true in zip(evaluation.keypoints, samples.keypoints, strict=True)
    ]


def drawn(predicted: np.ndarray, true: np.ndarray, schema: KeypointSchema) -> np.ndarray:
    """One face, scaled to its cell, without its photo."""
    low, high = true[:, :2].min(axis=0), true[:, :2].max(axis=0)
    scale = 0.8 * SIDE / (high - low).max()
    canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)

    def placed(points: np.ndarray) -> np.ndarray:
        return np.rint((points[:, :2] - (low + high) / 2) * scale + SIDE / 2).astype(int)

    lines = placed(predicted)
    for start, end in schema.edges:
        cv2.line(canvas, lines[start].tolist(), lines[end].tolist(), (60, 90, 160), 1, cv2.LINE_AA)
    for point in placed(true):
        cv2.circle(canvas, point.tolist(), 1, (210, 40, 40), -1, cv2.LINE_AA)
    return canvas


if __name__ == "__main__":
    flags.run(main, Config, __doc__)
