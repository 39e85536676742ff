"""A server that forks its workers, as `gunicorn --preload` does; run by tests/test_forks.py.

It prints what each child answers, a line each; a child that hangs is killed after a while.
"""

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kptkit

SECONDS = 100
PICTURE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises in a forked child; "hangs" if it does not end."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = work()
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(theirs, pickle.dumps(answer))
        os._exit(0)
    os.close(theirs)
    end = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hangs"
        time.sleep(0.05)
    with os.fdopen(ours, "rb") as pipe:
        return pickle.loads(pipe.read())


def answers(detector: kptkit.FaceDetector, estimator: kptkit.PoseEstimator) -> list[np.ndarray]:
    faces, bodies = detector.detect(PICTURE), estimator.predict(PICTURE)
    return [faces.boxes_xyxy, faces.landmarks, bodies.keypoints]


def main(cascade: str, pose: str) -> None:
    detector = kptkit.FaceDetector(cascade, score_thresholds=(0.6, 0.6, 0.6))
    estimator = kptkit.PoseEstimator(pose)
    child = in_child(lambda: answers(detector, estimator))
    grandchild = in_child(lambda: in_child(lambda: answers(detector, estimator)))
    ours = answers(detector, estimator)
    for theirs in (child, grandchild):
        same = isinstance(theirs, list) and all(map(np.array_equal, theirs, ours))
        print("same" if same else theirs)
    print(len(ours[0]) > 0)
    print(in_child(lambda: detector.detect(PICTURE)))
    print(in_child(lambda: estimator.predict(PICTURE)))
    print(in_child(lambda: kptkit.FaceDetector(cascade).detect(PICTURE)))
    print(in_child(lambda: kptkit.load(pose)))


if __name__ == "__main__":
    main(str(Path(sys.argv[1])), str(Path(sys.argv[2])))
