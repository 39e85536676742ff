"""Body keypoints from pictures and person boxes."""

from kptkit.pose.estimator import PoseEstimator, PosePrediction

__all__ = ["PoseEstimator", "PosePrediction"]
