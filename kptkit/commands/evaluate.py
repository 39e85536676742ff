"""Evaluates a trained run by its data set's protocol, or a face detector by WIDER FACE's.

    kptkit evaluate runs/demo

uses the run's own held-out data. Other data, or the boxes of a detector:

    kptkit evaluate RUN --data.val Y.json --data.images DIR [--detections BOXES.json]

prints AP and AR for COCO, PCKh for MPII, PCK@0.2 for FLIC and LSP, the mean error for faces, and
values per keypoint; writes results.json (COCO results) and metrics.json into RUN/evaluation.

    kptkit evaluate --task face --annotations WIDER_TXT --images DIR [--landmarks LIST
        --landmark-images DIR] [--weights original|FILE] [--compare FILE]

prints AP, recall and landmark errors of the packaged face detector or of other weights, and the
difference between two of them; without data, on the demo set. It writes metrics.json into
runs/evaluate.
"""

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.evaluate.flags import FaceEvaluationConfig, PoseEvaluationConfig


def pose(config: PoseEvaluationConfig) -> None:
    """Evaluates a pose network."""
    early.check_pose_source(config.run, config.weights)
    config.data.check_val()
    quiet.import_tensorflow()
    from kptkit.evaluate.pose_report import report_pose

    report_pose(config)


def face(config: FaceEvaluationConfig) -> None:
    """Evaluates a face detector."""
    for weights in filter(None, (config.weights, config.compare)):
        early.check_cascade(weights)
    quiet.import_tensorflow()
    from kptkit.evaluate.face_report import report_faces

    report_faces(config)


def command() -> None:
    """The command line."""
    flags.run_task(
        {"pose": (pose, PoseEvaluationConfig), "face": (face, FaceEvaluationConfig)},
        __doc__,
        tensorflow=False,
    )
