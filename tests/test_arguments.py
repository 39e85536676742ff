"""Wrong arguments of what `kptkit` offers: each is one line that says what was expected."""

import numpy as np
import pytest
import tensorflow as tf

import kptkit
from kptkit import decode, encode, losses
from kptkit.checks import check_choice, check_number, check_shapes, check_size
from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.network import PoseNetwork, build_model
from kptkit.people import PeopleEstimator
from kptkit.pose import PoseEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.serving import Client
from kptkit.skeletons.known import COCO_17

NAN = float("nan")
PICTURE = np.zeros((20, 30, 3), np.uint8)
MAPS = np.zeros((2, 8, 6, 5), np.float32)
ONE, WEIGHTS = MAPS[:1], np.ones((2, 5), np.float32)
FACES = FacePrediction(np.array([[0, 0, 9, 9]]), np.zeros(1), np.ones((1, 5, 2)))
VALID = np.ones(4, bool)
LOGITS, ROWS = np.zeros((4, 2), np.float32), np.zeros((4, 10), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decode.decode(MAPS[0]), r"heatmaps: shape \(8, 6, 5\), expected \(B, H, W, K\)"),
        (lambda: decode.decode("maps"), "heatmaps: expected an array or tensor of numbers"),
        (lambda: decode.decode(None), "heatmaps: expected an array or tensor of numbers"),
        (lambda: decode.decode(np.array("a")), "heatmaps: expected an array or tensor of numbers"),
        (lambda: decode.decode(tf.constant("a")), "heatmaps: expected an array or tensor"),
        (lambda: decode.decode([[[[1.0], [1.0, 2.0]]]]), "heatmaps: expected an array or tensor"),
        (lambda: decode.decode(MAPS, "darc"), "method: 'darc', expected one of 'argmax'"),
        (lambda: decode.decode(MAPS, ["dark"]), r"method: \['dark'\], expected one of"),
        (lambda: decode.decode(MAPS, heatmap_sigma=0), "heatmap_sigma: 0, expected .* above 0"),
        (lambda: decode.decode(MAPS, heatmap_sigma="2"), "heatmap_sigma: '2', expected"),
        (lambda: decode.flip_back(MAPS, [0, 1, 2]), r"\(2, 8, 6, 5\), expected \(B, H, W, 3\)"),
        (lambda: decode.flip_back(MAPS, [0, 1, 2, 3, 5]), "flip_permutation: .*every index"),
        (lambda: decode.flip_back(MAPS, 5), "flip_permutation: 5, expected"),
        (lambda: decode.flip_back(MAPS, range(5), "half"), "alignment: 'half', expected one of"),
        (lambda: decode.flip_back(MAPS, range(5), stride=0), "stride: 0, expected a whole"),
        (lambda: decode.heatmaps_from_logits(MAPS[0], 2), r"expected \(B, H, W, K\)"),
        (lambda: decode.heatmaps_from_logits(MAPS, NAN), "heatmap_sigma: nan, expected"),
        (lambda: encode.encode(MAPS, (6, 8), 2), r"keypoints: .* expected \(B, K, 3\)"),
        (lambda: encode.encode(MAPS[0], (6, 8), 2), r"\(8, 6, 5\), expected \(B, K, 3\)"),
        (lambda: encode.encode(MAPS[..., :3][0], (6,), 2), r"heatmap_wh: \(6,\), expected two"),
        (lambda: encode.encode(MAPS[..., :3][0], 6, 2), "heatmap_wh: 6, expected two whole"),
        (lambda: encode.encode(MAPS[..., :3][0], (6, 8.5), 2), "heatmap_wh: .*expected two"),
        (lambda: encode.encode(MAPS[..., :3][0], (6, 8), -1), "heatmap_sigma: -1, expected"),
        (lambda: losses.heatmap_mse(MAPS, ONE, WEIGHTS), "predicted: .* with B = 2"),
        (lambda: losses.heatmap_mse(ONE, MAPS, WEIGHTS), "predicted: .* with B = 1"),
        (lambda: losses.heatmap_mse(MAPS, MAPS, WEIGHTS[0]), r"weights: shape \(5,\), expected"),
        (lambda: losses.heatmap_mse(MAPS, MAPS, WEIGHTS[:, :1]), "weights: .* with K = 5"),
        (lambda: losses.heatmap_mse(MAPS, MAPS[:, :1], WEIGHTS), "predicted: .* with H = 8"),
        (lambda: losses.heatmap_ohkm(MAPS, ONE, WEIGHTS), "predicted: .* with B = 2"),
        (lambda: losses.heatmap_ohkm(MAPS, MAPS, WEIGHTS, 0), "top: 0, expected a whole number"),
        (lambda: losses.spatial_cross_entropy(MAPS, ONE, WEIGHTS), "predicted: .* with B = 2"),
        (lambda: losses.HeatmapLoss((0, 8)), r"size_wh: \(0, 8\), expected two whole numbers"),
        (lambda: losses.HeatmapLoss("ab"), "size_wh: 'ab', expected two whole numbers"),
        (lambda: losses.HeatmapLoss((24, 32), "msa"), "loss: msa; expected a function"),
        (lambda: losses.HeatmapLoss((24, 32), target="x"), "target: 'x', expected one of"),
        (lambda: losses.HeatmapLoss((24, 32), convention="x"), "convention: 'x', expected one"),
        (lambda: losses.HeatmapLoss((24, 32), sigma=0), "sigma: 0, expected"),
        (lambda: losses.HeatmapLoss((24, 32), stack_weights=[NAN]), "stack_weights: nan, expected"),
        (lambda: losses.HeatmapLoss((24, 32)).call(MAPS, MAPS), r"y_true: .* expected \(B, K, 3\)"),
        (
            lambda: losses.HeatmapLoss((24, 32)).call(np.zeros((2, 4, 3)), MAPS),
            r"y_pred: .* expected \(B, H, W, K\) with K = 4",
        ),
        (lambda: losses.classification_ohem(VALID, ROWS, VALID), r"logits: .* expected \(B, 2\)"),
        (lambda: losses.classification_ohem(VALID[:1], LOGITS, VALID), "logits: .* with B = 1"),
        (lambda: losses.classification_ohem(VALID, LOGITS, VALID, 1.2), "keep: 1.2, expected"),
        (lambda: losses.masked_regression(ROWS, ROWS[:1], VALID), "predicted: .* with B = 4"),
        (lambda: losses.masked_regression(ROWS, LOGITS, VALID), "predicted: .* with D = 10"),
        (lambda: losses.masked_regression(ROWS, ROWS, VALID[:1]), "valid: .* with B = 4"),
        (lambda: losses.mtcnn_loss({}, {}), "batch: is_face, box, class_valid, box_valid is miss"),
        (lambda: Client(5), "address: 5, expected grpc://HOST:PORT"),
        (lambda: Client("grpc://[::1:8500"), "address: .*expected grpc"),
        (lambda: Client("http://a:1", timeout="3"), "timeout: '3', expected seconds"),
        (lambda: Client("http://a:1", timeout=0), "timeout: 0, expected seconds"),
        (lambda: Client("http://a:1", retries=1.5), "retries: 1.5, expected a whole number"),
        (lambda: Client("http://a:1", jpeg_quality="90"), "jpeg_quality: '90', expected"),
        (lambda: Client("http://a:1", version="one"), "version: 'one', expected a whole"),
        (lambda: Client("http://a:1", pose_model=""), "pose_model: '', expected the name"),
        (lambda: kptkit.load(5), "weights: int, expected a run folder"),
        (lambda: kptkit.load(None), "NoneType, expected a run folder"),
        (lambda: kptkit.load(""), "an empty name"),
        (lambda: kptkit.load("coco-w32-256x192", network=5), "network: 5, expected"),
        (lambda: PoseEstimator(["a"]), "list, expected a run folder"),
        (lambda: FaceDetector(None), "NoneType, expected a file or folder"),
        (lambda: FaceDetector(min_face_size="20"), "min_face_size: '20', expected a number"),
        (lambda: FaceDetector(score_thresholds=0.7), "score_thresholds: 0.7, expected three"),
        (lambda: FaceDetector(scale_factor=0.99999), "scale_factor: 0.99999, expected .* 0.95"),
    ],
)
def test_arguments_of_functions(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def detector(cascade_file):
    return FaceDetector(cascade_file)


@pytest.fixture(scope="module")
def body():
    recipe = PoseRecipe(variant="demo", input_size_wh=(64, 64))
    return PoseEstimator(PoseNetwork(build_model(recipe, 17), recipe, COCO_17))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, _: d.extract(PICTURE, size=160), "size: 160, expected .* give a margin"),
        (lambda d, _: d.extract(PICTURE, size="112"), "size: '112', expected a whole number"),
        (lambda d, _: d.extract(PICTURE, size=10**9), "size: 1000000000, expected a whole number"),
        (lambda d, _: d.extract(PICTURE, size=16, margin=16), "margin: 16, expected .*below"),
        (lambda d, _: d.extract(PICTURE, size=16, margin="1"), "margin: '1', expected"),
        (
            lambda d, _: d.extract(PICTURE, margin=0, resample="cubic"),
            "resample: 'cubic', expected",
        ),
        (lambda d, _: d.extract(PICTURE, PICTURE), "faces: ndarray, expected the result of detect"),
        (lambda d, _: d.extract([PICTURE], FACES), "faces: FacePrediction for several images"),
        (lambda d, _: d.extract([PICTURE], [FACES] * 2, margin=0), "faces: more than the 1 images"),
        (lambda d, _: d.extract([PICTURE] * 2, [FACES], margin=0), "faces: 1 for more images"),
        (
            lambda d, _: d.extract(PICTURE, FacePrediction(np.ones((1, 5)), [1], [1]), 16, 0),
            r"boxes: expected numbers \(N, 4\), got float64 of shape \(1, 5\)",
        ),
        (
            lambda d, _: d.extract(PICTURE, FacePrediction(np.ones((1, 4)), [1], np.ones((1, 4)))),
            r"landmarks: expected numbers \(N, 5, 2\)",
        ),
        (lambda d, _: d.detect(None), "image: NoneType"),
        (lambda d, _: d.detect([PICTURE, [PICTURE]]), r"images\[1\]: image: list"),
        (lambda _, b: b.predict(PICTURE, [[0, 0, 9]]), r"boxes: shape \(1, 3\), expected \(N, 4\)"),
        (lambda _, b: b.predict(PICTURE, [[9, 0, 0, 9]]), r"boxes\[0\]: .*expected finite x1 < x2"),
        (lambda _, b: b.predict(PICTURE, [["a", 0, 0, 9]]), "boxes: .*expected numbers"),
        (lambda _, b: b.predict(PICTURE, "0 0 9 9"), "boxes: .*expected numbers"),
        (lambda _, b: b.predict(PICTURE, [["0", "0", "9", "9"]]), "boxes: .*expected numbers"),
        (lambda _, b: b.predict([PICTURE], [[[0, 0, 9, NAN]]]), r"images\[0\]: boxes\[0\]"),
        (lambda _, b: b.predict([PICTURE] * 2, [None]), "boxes_xyxy: 1 for more images"),
        (lambda _, b: b.predict_crops(PICTURE), r"crops: uint8 of shape \(20, 30, 3\), expected"),
        (lambda _, b: b.predict_crops("crops"), "crops: str of shape"),
        (lambda d, b: PeopleEstimator(d, b), "body: FaceDetector, expected a PoseEstimator"),
        (lambda d, b: PeopleEstimator(b, b), "faces: PoseEstimator, expected a FaceDetector"),
        (lambda d, b: PeopleEstimator(b, d, d), "face: FaceDetector, expected a PoseEstimator"),
        (lambda d, b: PeopleEstimator(b, d).predict(3), "image: int"),
        (lambda d, b: PeopleEstimator(b, d).predict([3]), r"images\[0\]: image: int"),
    ],
)
def test_arguments_of_methods(call, message, detector, body):
    with pytest.raises(InputError, match=message) as error:
        call(detector, body)
    assert "\n" not in str(error.value)


def test_a_folder_of_pytorch_weights(tmp_path):
    (tmp_path / "pnet.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"holds pnet.pt, .*convert --from facenet-pytorch /"):
        FaceDetector(tmp_path)
    with pytest.raises(InputError, match=r"holds pnet.pt, .*convert --from hrnet /.*pnet.pt"):
        PoseEstimator(tmp_path)
    (tmp_path / "mtcnn.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"mtcnn.npz: "):
        FaceDetector(tmp_path)


def test_modules_list_what_they_offer():
    for module in (losses, decode, encode):
        names = [name for name in dir(module) if not name.startswith("_")]
        assert names == sorted(module.__all__)
        assert all(getattr(module, name).__module__ == module.__name__ for name in names)


def test_lists_everywhere(detector, body):
    people = PeopleEstimator(body, detector)
    for call in (detector.detect, detector.extract, body.predict, people.predict):
        assert call([]) == []
        assert len(call(PICTURE for _ in range(2))) == 2
        assert len(call(np.stack([PICTURE] * 2))) == 2
    boxes_xyxy = [[[0, 0, 9, 9]], None, np.zeros((0, 4))]
    found = body.predict([PICTURE] * 3, boxes_xyxy)
    assert [len(each.scores) for each in found] == [1, 1, 0]


def test_shapes_that_are_unknown_while_a_graph_is_traced():
    side = tf.TensorSpec((None, None, 3, 5))
    spec = [side, side, tf.TensorSpec((None, 5))]
    traced = tf.function(losses.heatmap_mse, input_signature=spec).get_concrete_function()
    assert traced.structured_outputs.shape.rank == 1
    unknown = tf.function(lambda x: check_shapes("f", x=(x, ("B",))) or x, autograph=False)
    unknown.get_concrete_function(tf.TensorSpec(None))
    check_shapes("f", a=(np.zeros((2, 3)), ("B", 3)), b=([1, 2], ("B",)), c=([], ("N",)))


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.int64(3), np.uint8(3)])
def test_numbers_that_are_taken(value):
    check_number("n", value, "", 3, 3, whole=not isinstance(value, (float, np.floating)))


@pytest.mark.parametrize(
    "value", [None, "3", True, NAN, np.inf, [3], np.bool_(1), 3 + 0j, -(10**400)]
)
def test_numbers_that_are_not(value):
    with pytest.raises(InputError, match=r"^n: .*, expected a number$"):
        check_number("n", value, "a number")
    if value is not None:
        with pytest.raises(InputError, match=r"^n: .*, expected two whole"):
            check_size("n", [value, 3])
        with pytest.raises(InputError, match=r"^n: .*, expected one of 3"):
            check_choice("n", value, [3])
