"""Evaluation of networks on annotated pictures."""

from kptkit.evaluate.face import FaceEvaluation, evaluate_faces
from kptkit.evaluate.pose import PoseEvaluation, evaluate_pose

__all__ = ["FaceEvaluation", "PoseEvaluation", "evaluate_faces", "evaluate_pose"]
