"""Pictures and person boxes to keypoints."""

from kptkit.pose.estimator import PoseEstimator, PosePrediction

__all__ = ["PoseEstimator", "PosePrediction"]
