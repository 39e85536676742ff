"""Face detection, and crops of faces."""

from kptkit.face.detector import FaceDetector, FacePrediction

__all__ = ["FaceDetector", "FacePrediction"]
