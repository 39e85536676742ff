"""Pictures in every form that callers pass, against the file that holds the same picture."""

import io
import os
import pathlib
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kptkit import images
from kptkit.errors import InputError
from kptkit.images.arguments import named_content, one_or_each, pictures_in, upright_image
from kptkit.images.headers import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
PNG = images.encode_png(PIXELS)


class Torch:
    """What a tensor of PyTorch on a GPU, with a gradient, does."""

    def __init__(self, pixels, steps=()):
        self.pixels, self.steps = pixels, steps

    def detach(self):
        return Torch(self.pixels, (*self.steps, "detach"))

    def cpu(self):
        return Torch(self.pixels, (*self.steps, "cpu"))

    def __array__(self, dtype=None, copy=None):
        if self.steps != ("detach", "cpu"):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nMore.")
        return self.pixels


class Path:
    def __fspath__(self):
        return "no such picture.png"


def opened(folder):
    (folder / "a.png").write_bytes(PNG)
    return open(folder / "a.png", "rb")


@pytest.mark.parametrize(
    "form",
    [
        lambda _: PIXELS,
        lambda _: PNG,
        lambda _: bytearray(PNG),
        lambda _: memoryview(PNG),
        lambda _: io.BytesIO(PNG),
        opened,
        lambda folder: pathlib.Path(opened(folder).name),
        lambda folder: opened(folder).name,
        lambda _: tf.constant(PIXELS),
        lambda _: tf.Variable(PIXELS),
        lambda _: tf.constant(PNG),
        lambda _: np.array(PNG, object),
        lambda _: Torch(PIXELS),
        lambda _: Image.fromarray(PIXELS),
        lambda _: Image.open(io.BytesIO(PNG)),
        lambda _: PIXELS.view(np.recarray),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_one_picture_in_every_form(form, tmp_path):
    picture = form(tmp_path)
    assert pictures_in(picture) is None
    found = upright_image(picture)
    np.testing.assert_array_equal(found, PIXELS)
    assert type(found) is np.ndarray
    assert found.flags.c_contiguous


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "P transparent", "RGB", "RGBA", "I;16"])
def test_pictures_of_pil_are_what_their_file_is(mode):
    picture = Image.fromarray(PIXELS)
    keep = {}
    if mode == "I;16":
        picture = Image.fromarray((PIXELS[..., 0].astype(np.uint16) << 8) + 77)
    elif mode == "P transparent":
        picture, keep = picture.quantize(7), {"transparency": bytes(range(7))}
    elif mode != "RGB":
        picture = picture.convert(mode)
    file = io.BytesIO()
    picture.save(file, "png", **keep)
    read = Image.open(io.BytesIO(file.getvalue()))
    assert read.mode == mode.split()[0]
    np.testing.assert_array_equal(upright_image(read), upright_image(file.getvalue()))


def test_other_modes_of_pil():
    for mode in ("CMYK", "YCbCr", "HSV", "RGBX"):
        converted = Image.fromarray(PIXELS).convert(mode)
        expected = np.asarray(converted.convert("RGB"))
        np.testing.assert_array_equal(upright_image(converted), expected)
    for mode in ("F", "I"):
        with pytest.raises(ImageError, match=f"of mode {mode}, whose numbers .* scale them"):
            upright_image(Image.fromarray(PIXELS).convert(mode))


@pytest.mark.parametrize("suffix", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 99])
def test_a_picture_of_pil_is_turned_as_its_file_is(suffix, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, suffix, exif=exif)
    expected = upright_image(file.getvalue())
    assert expected.shape == ((20, 12, 3) if orientation in (6, 8) else (12, 20, 3))
    found = upright_image(Image.open(io.BytesIO(file.getvalue())))
    assert np.abs(found.astype(int) - expected).max() <= (3 if suffix == "jpeg" else 1)
    again = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
    np.testing.assert_array_equal(upright_image(again), found)


def text_file(_):
    return io.StringIO("picture")


def closed_file(_):
    file = io.BytesIO(PNG)
    file.close()
    return file


def read_file(_):
    file = io.BytesIO(PNG)
    file.read()
    return file


def cut_picture(_):
    return Image.open(io.BytesIO(images.encode_jpeg(np.tile(PIXELS, (9, 9, 1)))[:900]))


def symbol(_):
    with tf.Graph().as_default():
        return tf.compat.v1.placeholder(tf.uint8, (9, 9, 3))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda _: None, "image: NoneType, expected a picture: .* imread gives None"),
        (lambda _: {"image": PIXELS}, "image: dict, expected .*; pass the value that holds it"),
        (lambda _: 3, "image: int, expected"),
        (lambda _: object, "image: type, expected"),
        (lambda _: [PIXELS], "image: list, expected .* lists cannot be nested"),
        (lambda _: "", "a text of 0 characters is no path"),
        (lambda _: "iVBORw0KGgo" * 999, "a text of 10,989 characters is no path.*base64"),
        (lambda _: "http://a.org/b.jpg", r"^http://a.org/b.jpg: an address, .*not fetched"),
        (lambda _: "data:image/png;base64,iVBO", "data:.*an address"),
        (lambda folder: folder, "a folder; pass a list of the paths in it"),
        (lambda _: Path(), "^no such picture.png: no such file"),
        (lambda _: b"", "image: empty"),
        (lambda _: b"photo.jpg", "image: not an image"),
        (lambda _: PNG[:99], "image: truncated"),
        (text_file, "an open file: reads str; open it for bytes"),
        (closed_file, "an open file: cannot be read"),
        (read_file, r"was read to its end; call seek\(0\) first"),
        (cut_picture, "PIL cannot read it"),
        (symbol, "image: .*Tensor gives no array .*graph"),
        (lambda _: Torch(PIXELS / 255), r"float64 array .*\(image \* 255\).round\(\)"),
        (lambda _: PIXELS.astype(np.float32), r"image.round\(\).clip\(0, 255\)"),
        (lambda _: PIXELS > 9, r"of a mask: image.astype\(np.uint8\) \* 255"),
        (lambda _: PIXELS.astype(">u2"), r"of 16 bits: \(image >> 8\)"),
        (lambda _: PIXELS.astype(np.int64), r"from 0..255: image.astype\(np.uint8\)"),
        (lambda _: np.moveaxis(PIXELS, 2, 0), r"\(3, 12, 20\).*channels to the end"),
        (lambda _: np.array("photo.jpg").astype(object)[None, None], "object array"),
        (lambda _: tf.constant(["a", "b"]), "of object"),
    ],
)
def test_what_is_no_picture_is_one_line(form, message, tmp_path):
    with pytest.raises(ImageError, match=message) as error:
        upright_image(form(tmp_path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_files_are_bounded(monkeypatch):
    monkeypatch.setattr("kptkit.images.arguments.MAX_FILE_BYTES", 99)
    for form in (PNG, io.BytesIO(PNG)):
        with pytest.raises(ImageError, match="more than 99 bytes"):
            named_content(form)


def generator():
    yield PIXELS
    yield PNG


@pytest.mark.parametrize(
    ("several", "count"),
    [
        ([], 0),
        ((), 0),
        (np.zeros((0, 5, 5, 3), np.uint8), 0),
        (generator(), 2),
        (iter([PIXELS]), 1),
        (map(np.asarray, [PIXELS, PIXELS]), 2),
        ({"a": PIXELS}.values(), 1),
        ((PIXELS, PNG), 2),
        (np.stack([PIXELS] * 3), 3),
        (tf.constant(np.stack([PIXELS] * 3)), 3),
        (Torch(PIXELS), None),
        (tf.data.Dataset.from_tensors(PIXELS).repeat(2), 2),
        ({"a": PIXELS}, None),
        ("a.png", None),
        (3, None),
    ],
)
def test_several_pictures(several, count):
    if count is None:
        assert pictures_in(several) is None
    else:
        found = one_or_each(several, lambda one, _: upright_image(one))
        np.testing.assert_array_equal(found, [upright_image(PIXELS)] * count)


def test_columns_of_paths(tmp_path):
    paths = [os.fspath(tmp_path / name) for name in ("a.png", "b.png")]
    assert list(pictures_in(np.array(paths))) == paths
    assert list(pictures_in(np.array(paths, object))) == paths
    assert pictures_in(np.zeros(3, np.uint8)) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1], "boxes: 1 for more images than that; expected one each"),
        ([1, 2, 3], "boxes: more than the 2 images; expected one each"),
        (3, "boxes: int for several images; expected a list"),
    ],
)
def test_one_value_for_each_picture(values, message):
    with pytest.raises(InputError, match=message):
        one_or_each([PIXELS, PIXELS], lambda *pair: pair, values, "boxes")


def test_pictures_are_used_with_their_values():
    def pair(image, value):
        return len(upright_image(image)), value

    height = len(PIXELS)
    assert one_or_each(PNG, pair) == (height, None)
    assert one_or_each(PNG, pair, [7]) == (height, [7])
    assert one_or_each([], pair, []) == []
    assert one_or_each([PNG, PIXELS], pair) == [(height, None)] * 2
    assert one_or_each([PNG, PIXELS], pair, [1, 2]) == [(height, 1), (height, 2)]


def test_a_temporary_file_is_a_file():
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(PNG)
        file.seek(0)
        np.testing.assert_array_equal(upright_image(file), PIXELS)
