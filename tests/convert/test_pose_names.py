"""Converted networks against the authors' own.

`golden/hrnet_narrow.npz` holds what the authors' unmodified lib/models/pose_hrnet.py answers
(leoxiaobin/deep-high-resolution-net.pytorch at 6f69e46, PyTorch 2.13): MODEL.NUM_JOINTS 5, stages 2
to 4 of 1, 2 and 2 modules with one block a branch and 8, 16, 32 and 64 channels; in eval mode, with
the weights of `torch_states.state_of` over its state_dict's names and shapes (`pose_shapes`), on
`torch_states.pictures(2, 64)` divided by 255, less the ImageNet mean, over the deviation, in NCHW.
`imagenet_shapes` are the names and shapes of HRNet/HRNet-Image-Classification's
lib/models/cls_hrnet.py at f760c98 with the same stages. `golden/hourglass_small.npz`: PoseNet(2,
256, 5) of princeton-vl/pytorch_stacked_hourglass's models/posenet.py at ceedc14, on the same
pictures divided by 255, in NHWC.

mmpose's own HRNet (open-mmlab/mmpose at 759b39c, with mmengine 0.10.7 and mmcv-lite 2.2.0) has the
1,752 names of the authors' W32 but the head's, and gives the same numbers to the bit.
"""

from dataclasses import replace

import numpy as np
import pytest
from support.torch_states import golden, pictures, state_of

from kptkit.convert.pose_names import Converted, check_configuration, from_hourglass, from_hrnet
from kptkit.errors import InputError
from kptkit.models import hourglass, hrnet, sizes
from kptkit.recipes.pose import PoseRecipe
from kptkit.weights.assign import assign_weights, model_arrays

UDP = PoseRecipe(convention="udp")


@pytest.fixture(scope="module")
def narrow():
    """The network of the golden file, and the file."""
    with pytest.MonkeyPatch.context() as patch:
        narrow_sizes = sizes.HRNetSizes(width=8, modules=(1, 2, 2), blocks=1)
        patch.setitem(sizes.HRNETS, "narrow", narrow_sizes)
        return hrnet.hrnet(5, "narrow", (64, 64)), golden("hrnet_narrow.npz")


def relative_difference(model, expected):
    found = model(pictures(2, 64).astype(np.float32), training=False)
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


def test_nothing_gives_nothing():
    assert from_hrnet({}, "f") == Converted({}, {})
    assert from_hourglass({}, "f") == Converted({}, {})


@pytest.mark.parametrize("prefix", ["", "keypoint_head.", "head."])
def test_the_authors_network(narrow, prefix):
    model, file = narrow
    state = state_of(file["pose_shapes"])
    if prefix:  # mmpose 0.x and 1.x
        head = ("final_layer.weight", "final_layer.bias")
        state = {(prefix if n in head else "backbone.") + n: x for n, x in state.items()}
    converted = from_hrnet(state, "f")
    assert converted.left_out == {"counters of batches": 86}
    assign_weights(model, converted.arrays, "f")
    assert relative_difference(model, file["heatmaps"]) < 1e-5


def test_the_parity_test_can_fail(narrow):
    """Keras's epsilon, a batch statistic or one tap of a kernel would be seen."""
    model, file = narrow
    arrays = from_hrnet(state_of(file["pose_shapes"]), "f").arrays
    for name in ("bn1/moving_variance", "stage4.1.fuse_layers.0.3.1/gamma"):
        assign_weights(model, arrays | {name: arrays[name] + 1e-3}, "f")
        assert relative_difference(model, file["heatmaps"]) > 1e-5
    flipped = arrays["conv2/kernel"][:, ::-1]
    assign_weights(model, arrays | {"conv2/kernel": flipped}, "f")
    assert relative_difference(model, file["heatmaps"]) > 1e-2


def test_imagenets_features_are_all_there_and_nothing_else(narrow):
    model, file = narrow
    state = state_of(file["imagenet_shapes"])
    converted = from_hrnet(state, "f")
    own = model_arrays(model)
    features = {name for name in own if not name.startswith("final_layer/")}
    assert converted.arrays.keys() == features
    assert all(converted.arrays[name].shape == own[name].shape for name in features)
    left = converted.left_out
    assert sum(left.values()) + len(features) == len(state)
    assert left["of the ImageNet classifier"] == len(
        [
            n
            for n in state
            if n.startswith(("incre", "downsamp", "final_", "classif", "stage4.1.fu"))
        ]
    ) - len([n for n in state if n.startswith("stage4.1.fuse_layers.0")])


def test_a_keypoint_network_with_fusions_that_nobody_reads_is_refused(narrow):
    model, file = narrow
    state = state_of(file["pose_shapes"])
    state["stage4.1.fuse_layers.1.0.0.0.weight"] = np.zeros((16, 8, 3, 3), np.float32)
    with pytest.raises(InputError, match=r"stage4\.1\.fuse_layers\.1\.0\.0\.0/kernel has no place"):
        assign_weights(model, from_hrnet(state, "f").arrays, "f")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bn1.running_var"), "bn1/moving_variance is missing"),
        (lambda s: s.pop("bn1.running_mean"), "bn1.weight: shape"),
        (lambda s: s.pop("layer1.3.conv2.weight"), "layer1.3.conv2/kernel is missing"),
        (lambda s: s.update({"conv9.weight": np.zeros((1, 1, 3, 3))}), "conv9/kernel has no place"),
        (lambda s: s.update({"head.x": np.zeros(3)}), r"f: head\.x: shape \(3,\)"),
        (lambda s: s.update({"fc.weight": np.zeros((3, 3))}), r"f: fc\.weight: shape \(3, 3\)"),
        (lambda s: s.update({"conv1.weight": np.zeros((64, 1, 3, 3))}), "conv1/kernel has shape"),
        (lambda s: s.update({"bn1.bias": np.full(64, np.nan)}), "bn1/beta holds values"),
    ],
)
def test_what_does_not_fit_is_named(narrow, change, message):
    model, file = narrow
    state = state_of(file["pose_shapes"])
    change(state)
    with pytest.raises(InputError, match=message):
        assign_weights(model, from_hrnet(state, "f").arrays, "f")


def test_the_hourglass():
    file = golden("hourglass_small.npz")
    state = state_of(file["shapes"])
    converted = from_hourglass(state, "f")
    # 29 shortcuts, each a kernel and a bias; 31 residuals of three normalisations, and three more.
    assert converted.left_out == {
        "of shortcuts that the network has and does not use": 58,
        "counters of batches": 96,
    }
    model = hourglass.hourglass(5, "hg2", (64, 64))
    assign_weights(model, converted.arrays, "f")
    assert relative_difference(model, file["heatmaps"]) < 1e-5
    state.pop("pre.1.skip_layer.conv.weight")
    with pytest.raises(InputError, match=r"pre\.1\.skip_layer\.conv/kernel is missing"):
        assign_weights(model, from_hourglass(state, "f").arrays, "f")


@pytest.mark.parametrize(
    ("config", "recipe", "message"),
    [
        ("", PoseRecipe(), None),
        ("", UDP, None),
        ("mean=[123.675, 116.28, 103.53],\n std=[58.395, 57.12, 57.375]", PoseRecipe(), None),
        ("dict(mean = [0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])", PoseRecipe(), None),
        ("mean=[0.5, 0.5, 0.5]", PoseRecipe(), r"trained on pixels of mean \[0.5, 0.5, 0.5\]"),
        ("std=[1, 1, 1]", PoseRecipe(), r"trained on pixels of std \[1, 1, 1\]"),
        ("mean=[__import__('os').abort()]", PoseRecipe(), "trained on pixels of mean"),
        ("codec = dict(type='UDPHeatmap')", UDP, None),
        (
            "codec = dict(type='UDPHeatmap')",
            PoseRecipe(),
            "by the convention udp; the recipe has off",
        ),
        ("use_udp=True", replace(UDP, decoder="dark"), None),
        ("use_udp=False", UDP, "by the convention official; the recipe has udp"),
        ("use_udp=0", replace(UDP, convention="darkpose"), "official; the recipe has darkpose"),
        ("type='UDPHeatmap', heatmap_type='combined'", UDP, "UDP combined"),
    ],
)
def test_the_configuration_beside_the_weights_is_compared(config, recipe, message):
    if message is None:
        check_configuration(config, recipe, "f")
        return
    with pytest.raises(InputError, match=message):
        check_configuration(config, recipe, "f")
