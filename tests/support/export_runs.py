"""What the tests of LiteRT and ONNX files share: small runs, and pictures to answer."""

from dataclasses import replace

import numpy as np

from kptkit.export.network_functions import pose_function
from kptkit.geometry import affine
from kptkit.network import PoseNetwork, build_model
from kptkit.pose.estimator import PoseEstimator
from kptkit.recipes.pose import RECIPES
from kptkit.runs import PoseRun
from kptkit.skeletons.known import COCO_17
from kptkit.weights.assign import load_weights, save_weights
from support.blob_pose import BLOBS, BOXES, SCHEMA, blobs
from support.blob_pose import estimator as blob_estimator


def small_run(folder, recipe):
    """A run of a network that was trained in mixed precision."""
    recipe = replace(RECIPES[recipe], input_size_wh=(64, 64), precision="mixed_bfloat16")
    run = PoseRun(folder, recipe, COCO_17, {})
    run.write({})
    model = build_model(recipe, COCO_17.num_keypoints)
    settle(model)
    save_weights(model, run.best)
    return run


def settle(model):
    """Weights that rounding harms as little as a trained network's, and decided heatmaps."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("kernel"):
            spread = np.prod(variable.shape[:-1]) ** -0.5
            variable.assign(rng.normal(0, spread, variable.shape))
        else:
            low = 0.5 if variable.path.endswith(("gamma", "moving_variance")) else -0.1
            variable.assign(rng.uniform(low, low + 0.2, variable.shape))
    *_, head = (x for x in model.layers if x.name.startswith(("final_layer", "outs.")))
    head.kernel.assign(head.kernel / np.std(model(noise(3, 64, 64))))


def estimator_of(run, flip_test):
    """Keras's own answers in float32."""
    recipe = replace(run.recipe, precision="float32", flip_test=flip_test)
    model = build_model(recipe, COCO_17.num_keypoints)
    load_weights(model, run.best)
    return PoseEstimator(PoseNetwork(model, recipe, COCO_17))


def noise(count, *shape):
    """Pictures of smooth noise: (count, *shape) uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3))
    rows, columns = shape[0] // 8, shape[1] // 8
    return coarse.repeat(rows, axis=1).repeat(columns, axis=2).astype(np.uint8)


def blob_case(decoder, convention):
    """An estimator that finds blobs, crops of two persons, and where their keypoints are."""
    estimator = blob_estimator(convention)
    recipe = replace(estimator.recipe, decoder=decoder)
    estimator = PoseEstimator(PoseNetwork(estimator.model, recipe, SCHEMA))
    centre_xy, window_wh = affine.crop_window(BOXES, recipe.input_size_wh)
    matrices = affine.crop_matrix(centre_xy, window_wh, recipe.input_size_wh, convention=convention)
    crops = np.stack([affine.warp(blobs(), matrix, recipe.input_size_wh) for matrix in matrices])
    return estimator, crops, affine.transform_points(matrices, BLOBS)


# Decoders, conventions of crops, and how far from the truth they may be, in crop pixels.
DECODERS = [("argmax", "official", 2.9), ("quarter", "udp", 6.0), ("dark", "official", 0.2)]


def decodes_inside(runtime, folder, decoder, convention, pixels):
    """Asserts that the file of a network answers keypoints, and those of Keras; zeros for black."""
    estimator, crops, truth = blob_case(decoder, convention)
    path = folder / f"pose{runtime.SUFFIX}"
    path.write_bytes(runtime.convert(pose_function(estimator), "float32"))
    answer = runtime.load(path)
    found = answer({"crops": crops})
    expected = estimator.predict_crops(crops)
    np.testing.assert_allclose(found["keypoints"], expected[..., :2], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["keypoint_scores"], expected[..., 2], rtol=1e-5)
    np.testing.assert_allclose(found["scores"], expected[..., 2].mean(axis=1), rtol=1e-5)
    assert np.linalg.norm(found["keypoints"] - truth, axis=-1).max() < pixels
    assert not any(output.any() for output in answer({"crops": crops * 0}).values())
