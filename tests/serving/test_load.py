"""Many requests at once: merged into batches, and from clients that also send malformed ones."""

import random
import threading

import cv2
import numpy as np
import pytest
from support import fake_tf_serving
from support.blob_pose import BOXES, blobs, estimator, png

from kptkit.errors import InputError
from kptkit.export.face_graph import FaceGraph
from kptkit.export.pose_graph import PoseGraph
from kptkit.face.detector import FaceDetector
from kptkit.images.codec import encode_jpeg
from kptkit.serving.transport import Call, GrpcTransport, RestTransport

CLIENTS = 32


@pytest.fixture(scope="module")
def models(cascade_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    PoseGraph(estimator()).save(folder / "pose")
    detector = FaceDetector(cascade_file, score_thresholds=(0.6, 0.6, 0.6))
    FaceGraph(detector.cascade).save(folder / "face")
    return {name: fake_tf_serving.ServedModel(folder / name) for name in ("pose", "face")}


def pictures():
    """Pictures of three sizes, each of which needs padding on another side."""
    return [cv2.resize(blobs(), size_wh) for size_wh in ((160, 120), (97, 203), (230, 60))]


def raw(image):
    return {"images": image[None], "image_hw": np.int32([image.shape[:2]])}


def requests_to(signature):
    files = [np.array([png(image)], object) for image in pictures()]
    # The first value of the second one's boxes is not zero, and padding repeats it.
    boxes = [BOXES[None, :1], np.concatenate([BOXES, BOXES[:1] + 7])[None], BOXES[None] * 0.5]
    return {
        "serving_default": [
            {"image_bytes": f, "boxes": b} for f, b in zip(files, boxes, strict=True)
        ],
        "image_bytes": [{"image_bytes": file} for file in files],
        "images": [{**raw(i), "boxes": b} for i, b in zip(pictures(), boxes, strict=True)],
        "whole_images": [raw(image) for image in pictures()],
        "crops": [{"crops": cv2.resize(i, (64, 96))[None]} for i in pictures()],
    }[signature]


def noises():
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (3, 12, 16, 3), np.uint8)
    return [
        cv2.resize(c, size_wh, interpolation=cv2.INTER_CUBIC)
        for c, size_wh in zip(coarse, ((160, 120), (97, 203), (9, 9)), strict=True)
    ]


FACE_REQUESTS = {
    "serving_default": lambda: [{"image_bytes": np.array([png(i)], object)} for i in noises()],
    "images": lambda: [raw(image) for image in noises()],
}


@pytest.mark.parametrize("allowed", [[3], [1, 2, 4, 8]])
@pytest.mark.parametrize(
    ("model", "signature"),
    [
        ("pose", "serving_default"),
        ("pose", "image_bytes"),
        ("pose", "images"),
        ("pose", "whole_images"),
        ("pose", "crops"),
        ("face", "serving_default"),
        ("face", "images"),
    ],
)
def test_merged_requests_are_answered_as_if_each_were_alone(models, model, signature, allowed):
    """TF Serving pads each tensor with its own first value."""
    requests = FACE_REQUESTS[signature]() if model == "face" else requests_to(signature)
    served = models[model]
    merged = fake_tf_serving.merge(requests, allowed)
    assert {len(tensor) for tensor in merged.values()} == {allowed[-1] if allowed == [3] else 4}
    for request, found in zip(
        requests, fake_tf_serving.split(served(signature, merged), requests), strict=True
    ):
        for name, expected in served(signature, request).items():
            array, atol = found[name], 1e-5 if "score" in name else 1e-2
            if array.ndim > 1:
                count = expected.shape[1]
                assert not array[:, count:].any()
                array = array[:, :count]
            np.testing.assert_allclose(array, expected, rtol=0, atol=atol)


def good_and_bad():
    """Valid and malformed calls."""
    images = pictures()
    files = [encode_jpeg(image) for image in images]

    def call(data, boxes=None):
        inputs = {"image_bytes": [data]}
        if boxes is not None:
            inputs["boxes"] = np.float32(boxes)
        return Call("pose", None, "image_bytes" if boxes is None else "serving_default", inputs)

    good = [call(file) for file in files]
    good += [call(file, BOXES[None, :n]) for file in files for n in (1, 2)]
    bad = [
        call(b""),
        call(b"x" * 5000),
        call(files[0][: len(files[0]) // 2]),
        call(files[1], np.full((1, 1, 4), np.nan)),
        call(files[1], BOXES[None, :, :3]),
        call(files[1], BOXES),
        call(files[1], np.ones((1, 129, 4))),
        Call("pose", None, "no_such_signature", good[0].inputs),
        Call("pose", None, "serving_default", good[0].inputs),
        Call("pose", None, "image_bytes", {"boxes": BOXES[None]}),
    ]
    return good, bad


def test_malformed_requests_do_not_change_other_answers(models):
    """32 clients, three of four by gRPC; one call in ten is malformed."""
    calls_each = 12
    server = fake_tf_serving.ModelServer(pose=models["pose"])
    good, bad = good_and_bad()
    faults, done = [], []
    with (
        fake_tf_serving.serve_grpc(server) as grpc_address,
        fake_tf_serving.serve_rest(server) as rest_address,
    ):

        def transport(number):
            kind, address = (
                (GrpcTransport, grpc_address) if number % 4 else (RestTransport, rest_address)
            )
            return kind(address.split("//")[1])

        first = transport(1)
        expected = [first.send(call, 60) for call in good]
        assert len({answer["keypoints"].tobytes() for answer in expected}) == len(good)

        def client(number):
            dice, own = random.Random(number), transport(number)
            for turn in range(calls_each):
                malformed = (turn + number) % 10 == 0
                index = dice.randrange(len(bad if malformed else good))
                try:
                    answer = own.send((bad if malformed else good)[index], 60)
                except InputError as error:
                    if not malformed:
                        faults.append(f"{number}: refused {index}: {error}")
                except Exception as error:
                    faults.append(f"{number}: {error!r}")
                else:
                    if malformed:
                        faults.append(f"{number}: answered malformed {index}")
                    elif any(
                        np.abs(answer[name] - array).max() > 1e-4
                        for name, array in expected[index].items()
                    ):
                        faults.append(f"{number}: wrong answer to {index}")
                done.append(malformed)
            own.close()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = [first.send(call, 60) for call in good]
        first.close()
    assert faults == []
    assert len(done) == CLIENTS * calls_each
    assert sum(done) == pytest.approx(0.1 * len(done), rel=0.3)
    for before, after in zip(expected, again, strict=True):
        assert all((before[name] == after[name]).all() for name in before)
