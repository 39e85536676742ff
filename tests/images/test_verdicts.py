"""SECURITY.md's table: which kinds of pictures are read by all, by the predictor alone, by none.

The campaign's mutants of the same pictures are in tests/campaign/pictures.py.
"""

import numpy as np
import pytest
import tensorflow as tf
from campaign.pictures import kinds

from kptkit import images
from kptkit.images.graph_codec import decode_upright
from kptkit.images.headers import check_file
from kptkit.images.refusals import ANIMATED_WEBP, NOT_SERVED

BY_PREDICTOR_ALONE = {
    "jpeg cmyk",
    "jpeg ycck",
    "gif",
    "gif animated",
    "bmp 16 bits",
    "bmp run lengths",
    "tiff",
    "avif",
}
BY_NONE = {"webp animated"}
decode = tf.function(decode_upright, input_signature=[tf.TensorSpec((), tf.string)])


def test_the_table_names_kinds_that_there_are():
    assert kinds().keys() > BY_PREDICTOR_ALONE | BY_NONE


@pytest.mark.parametrize("name", kinds())
def test_verdicts_are_those_of_the_table(name):
    data = kinds()[name]
    if name in BY_NONE:
        with pytest.raises(images.ImageError, match=ANIMATED_WEBP):
            images.decode_image(data)
        with pytest.raises(tf.errors.InvalidArgumentError, match=ANIMATED_WEBP):
            decode(data)
        return
    picture = images.decode_image(data, "exif")
    assert picture.shape in ((40, 56, 3), (56, 40, 3), (40, 54, 3))
    assert check_file(data).served == (name not in BY_PREDICTOR_ALONE)
    if name in BY_PREDICTOR_ALONE:
        with pytest.raises(tf.errors.InvalidArgumentError, match=NOT_SERVED):
            decode(data)
    else:
        np.testing.assert_array_equal(decode(data), picture)
