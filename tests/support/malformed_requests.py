"""Sends an export every kind of malformed request, in a process without Keras and kptkit.

    python malformed_requests.py VERSION_FOLDER

The model runs as in TF Serving (`fake_tf_serving`). Its warm-up requests are the good ones; the
first of each signature is spoilt, one input at a time. Prints the malformed requests that were
answered, or refused for another reason than their content; the number of kinds sent to each
signature; and at the end ALIVE, if the good requests are still answered as before.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

for name in list(sys.modules):
    if name.split(".")[0] in ("keras", "kptkit"):
        sys.modules[name] = None
sys.modules["keras"] = sys.modules["kptkit"] = None

import fake_tf_serving  # noqa: E402
from spoilt_requests import spoilt  # noqa: E402
from tensorflow_serving.apis import prediction_log_pb2  # noqa: E402


def main(folder: Path) -> None:
    program, goods = fake_tf_serving.ServedModel(folder), {}
    for record in tf.data.TFRecordDataset(str(folder / "assets.extra/tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        goods.setdefault(request.model_spec.signature_name, inputs)
    answers = {name: program(name, inputs) for name, inputs in goods.items()}
    for name, inputs in goods.items():
        kinds = 0
        for kind, request in spoilt(inputs):
            kinds += 1
            try:
                program(name, request)
                print("ANSWERED:", name, kind, flush=True)
            except fake_tf_serving.Refusal as refusal:
                code, message = refusal.args
                if code != "INVALID_ARGUMENT" or len(message) > 2000:
                    print(f"{code}:", name, kind, message[:200], flush=True)
        print(f"{name} {kinds}", flush=True)
    again = {name: program(name, inputs) for name, inputs in goods.items()}
    same = [
        np.array_equal(again[name][key], array)
        for name, answer in answers.items()
        for key, array in answer.items()
    ]
    print("ALIVE" if all(same) else "CHANGED")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
