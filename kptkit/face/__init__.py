"""Faces in pictures, and crops of them."""

from kptkit.face.detector import FaceDetector, FacePrediction

__all__ = ["FaceDetector", "FacePrediction"]
