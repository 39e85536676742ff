"""From a recipe to its network."""

import pytest

from kptkit.models import sizes
from kptkit.network import build_model
from kptkit.recipes import PoseRecipe


def test_variants_of_different_networks_have_different_names():
    assert not sizes.HRNETS.keys() & sizes.HOURGLASSES.keys()


@pytest.mark.parametrize(
    ("variant", "name", "maps"),
    [("demo", "hrnet_demo", (16, 16, 5)), ("hg2_small", "hourglass_hg2_small", (2, 16, 16, 5))],
)
def test_a_variant_chooses_the_network(variant, name, maps):
    model = build_model(PoseRecipe(variant=variant, input_size_wh=(64, 64)), 5)
    assert (model.name, model.output_shape[1:]) == (name, maps)
