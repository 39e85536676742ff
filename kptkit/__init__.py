"""kptkit: face and body keypoints in TensorFlow and Keras 3."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kptkit import decode, losses, serving
    from kptkit.errors import InputError
    from kptkit.face import FaceDetector
    from kptkit.opener import load
    from kptkit.people import PeopleEstimator
    from kptkit.pose import PoseEstimator
    from kptkit.serving import Client

__version__ = "0.1.0"

__all__ = [
    "Client",
    "FaceDetector",
    "InputError",
    "PeopleEstimator",
    "PoseEstimator",
    "__version__",
    "decode",
    "load",
    "losses",
    "serving",
]

# Imported when they are first asked for: `import kptkit` itself needs no TensorFlow.
_HOMES = {
    "Client": "kptkit.serving",
    "FaceDetector": "kptkit.face",
    "InputError": "kptkit.errors",
    "PeopleEstimator": "kptkit.people",
    "PoseEstimator": "kptkit.pose",
    "load": "kptkit.opener",
}
_MODULES = ("decode", "losses", "serving")


if not TYPE_CHECKING:  # to a type checker, it would make every name exist

    def __getattr__(name: str) -> Any:
        if name in (*_MODULES, *_HOMES):
            # As in commands: no start-up messages of TensorFlow, unless the user asked for them.
            import_module("kptkit.quiet").quieten()
        if name in _MODULES:
            return import_module(f"kptkit.{name}")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__path__"])
