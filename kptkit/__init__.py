"""kptkit: face and body keypoints in TensorFlow and Keras 3."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported when they are first asked for: `import kptkit` itself needs no TensorFlow.
_FRONT_DOOR = {
    "PoseEstimator": "kptkit.pose",
    "FaceDetector": "kptkit.face",
    "PeopleEstimator": "kptkit.people",
    "Client": "kptkit.serving",
    "load": "kptkit.opener",
}

__all__ = ["Client", "FaceDetector", "PeopleEstimator", "PoseEstimator", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in _FRONT_DOOR:
        return getattr(import_module(_FRONT_DOOR[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(globals() | _FRONT_DOOR)
