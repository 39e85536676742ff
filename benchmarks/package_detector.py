"""Times the `mtcnn` package of PyPI (1.0.0) on pictures, in a process started by `detector.py`.

It needs a Python with mtcnn and tensorflow, and nothing else. Each line of its input is the path of
a picture; each line of its output is a JSON object with wall and CPU milliseconds of one detection
and the number of faces.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from mtcnn import MTCNN

# The published settings; the package's defaults differ in the last threshold.
SETTINGS = {
    "min_face_size": 20,
    "scale_factor": 0.709,
    "threshold_pnet": 0.6,
    "threshold_rnet": 0.7,
    "threshold_onet": 0.7,
}


def main() -> None:
    detector = MTCNN()
    for line in sys.stdin:
        data = tf.io.read_file(line.rstrip("\n"))
        image = tf.io.decode_image(data, channels=3, expand_animations=False).numpy()
        wall, processor = time.perf_counter(), time.process_time()
        faces = detector.detect_faces(image, **SETTINGS)
        milliseconds = [
            1e3 * (time.perf_counter() - wall),
            1e3 * (time.process_time() - processor),
        ]
        print(json.dumps({"milliseconds": milliseconds, "faces": len(faces)}), flush=True)


if __name__ == "__main__":
    main()
