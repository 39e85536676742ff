"""What a program that uses the package prints although nobody asked."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys
import numpy as np
import kptkit
assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ or "--set" in sys.argv
kptkit.FaceDetector().detect(np.zeros((30, 30, 3), np.uint8))
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""


def run(level):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"} | level
    command = [sys.executable, "-c", PROGRAM, *(["--set"] if level else [])]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_tensorflow_starts_quietly():
    done = run({})
    assert done.stdout == "3\n"
    # Two lines are written before TensorFlow reads its level.
    assert "cpu_feature_guard" not in done.stderr
    assert "cuInit" not in done.stderr


def test_the_level_of_the_user_is_kept():
    done = run({"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert done.stdout == "0\n"
    assert "cpu_feature_guard" in done.stderr
