"""Pictures of every kind, whole, truncated, forged and mutated, compared with Pillow's."""

import io
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from support.picture_files import chunk, png, saved, with_frame_size

from kptkit import images
from kptkit.errors import InputError
from kptkit.images import headers
from kptkit.images.headers import ImageError
from kptkit.wording import printable

HEIGHT, WIDTH = 80, 120


def smooth_picture() -> np.ndarray:
    """Soft colours (H, W, 3), which lossy formats keep to a few grey levels."""
    noise = np.random.default_rng(0).integers(60, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


PICTURE = smooth_picture()
RGB = Image.fromarray(PICTURE)
OTHER = Image.fromarray(255 - PICTURE)
GRAY = RGB.convert("L")
PALETTE = RGB.quantize(64)
ALPHA = Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8) * 2, (HEIGHT, 1)))


def animation(form: str, **settings) -> bytes:
    return saved(RGB, form, save_all=True, append_images=[OTHER], duration=50, **settings)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags.tobytes()


def tiff(order: str, tags: dict[int, int], pixels: bytes) -> bytes:
    """An uncompressed 8-bit gray TIFF in one strip or tile, in either byte order."""
    tags = {258: 8, 259: 1, 262: 1, 277: 1} | tags
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    offset_tag = 324 if 322 in tags else 273
    tags |= {offset_tag: start, {324: 325, 273: 279}[offset_tag]: len(pixels)}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    return magic + struct.pack(order + "H", len(tags)) + entries + bytes(4) + pixels


JPEG = saved(RGB, "JPEG", quality=95)
PNG = saved(RGB, "PNG")
# Content and the largest difference to PICTURE that the format may cause.
FILES = {
    "jpeg": (JPEG, 15),
    "jpeg progressive": (saved(RGB, "JPEG", quality=95, progressive=True), 15),
    "png": (PNG, 0),
    "png animated": (animation("PNG"), 0),
    "gif": (saved(RGB, "GIF"), 60),
    "gif animated": (animation("GIF"), 60),
    "bmp": (saved(RGB, "BMP"), 0),
    "webp": (saved(RGB, "WEBP", quality=95), 40),
    "webp lossless": (saved(RGB, "WEBP", lossless=True), 0),
    "tiff": (saved(RGB, "TIFF"), 0),
    "tiff lzw": (saved(RGB, "TIFF", compression="tiff_lzw"), 0),
    "avif": (saved(RGB, "AVIF", quality=95), 15),
}
each_file = pytest.mark.parametrize("name", FILES)


def difference(image: np.ndarray, expected: np.ndarray) -> int:
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    return int(np.abs(image.astype(int) - expected).max())


@each_file
def test_every_format_gives_its_first_frame(name):
    data, tolerance = FILES[name]
    assert images.image_size_wh(data) == (WIDTH, HEIGHT)
    image = images.decode_image(data)
    assert difference(image, PICTURE) <= tolerance
    assert image.flags.c_contiguous


@each_file
@pytest.mark.parametrize("rest", ["10%", "50%", "90%", "99%", "-2 bytes"])
def test_truncated_files_are_refused(name, rest):
    data = FILES[name][0]
    length = len(data) - 2 if rest == "-2 bytes" else len(data) * int(rest[:-1]) // 100
    with pytest.raises(ImageError) as error:
        images.decode_image(data[:length])
    assert error.value.reason == "broken"


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_jpegs_cut_and_padded_with_zeros_are_refused(percent):
    with pytest.raises(ImageError, match="truncated"):
        images.decode_image(JPEG[: len(JPEG) * percent // 100] + bytes(5000))


@each_file
def test_trailing_garbage_is_accepted(name):
    data, tolerance = FILES[name]
    assert difference(images.decode_image(data + b"garbage" * 99), PICTURE) <= tolerance


def transparent(mode: str) -> Image.Image:
    picture = RGB.convert(mode)
    picture.putalpha(ALPHA)
    return picture


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        (saved(GRAY, "PNG"), GRAY, 0),
        (saved(GRAY, "JPEG", quality=95), GRAY, 4),
        (saved(transparent("LA"), "PNG"), GRAY, 0),
        (saved(transparent("RGBA"), "PNG"), RGB, 0),
        (saved(transparent("RGBA"), "WEBP", lossless=True, exact=True), RGB, 0),
        (saved(PALETTE, "PNG"), PALETTE, 0),
        (saved(PALETTE, "BMP"), PALETTE, 0),
        (saved(RGB.convert("1"), "PNG"), RGB.convert("1"), 0),
        (saved(RGB.convert("CMYK"), "JPEG", quality=100), RGB, 3),
        (saved(RGB.convert("CMYK"), "TIFF"), RGB, 1),
        (cv2.imencode(".png", np.uint16(PICTURE[..., ::-1]) * 257)[1].tobytes(), RGB, 0),
        (cv2.imencode(".png", np.uint16(GRAY) * 257)[1].tobytes(), GRAY, 0),
        (cv2.imencode(".tiff", np.uint16(PICTURE[..., ::-1]) * 257)[1].tobytes(), RGB, 0),
    ],
)
def test_every_pixel_kind_becomes_rgb_uint8(data, expected, tolerance):
    expected = np.asarray(expected.convert("RGB"))
    assert difference(images.decode_image(data), expected) <= tolerance


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", [{278: 24}, {322: 32, 323: 32}])  # one strip, one tile
def test_tiffs_of_both_byte_orders(order, layout):
    pixels = np.arange(32 * 32).astype(np.uint8).reshape(32, 32)
    data = tiff(order, {256: 32, 257: 24} | layout, pixels.tobytes())
    assert images.image_size_wh(data) == (32, 24)
    np.testing.assert_array_equal(images.decode_image(data)[..., 0], pixels[:24])


def test_header_and_pixels_must_agree_on_the_size():
    data = tiff("<", {256: 32, 257: 24, 278: 24, 274: 6}, bytes(32 * 24))
    assert images.decode_image(data).shape == (32, 24, 3)
    # An orientation of one byte, against the standard: libtiff obeys it, image_size_wh does not.
    forged = data.replace(struct.pack("<HHI", 274, 4, 1), struct.pack("<HHI", 274, 1, 1))
    with pytest.raises(ImageError, match="broken"):
        images.decode_image(forged)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("size_wh", [(1, 1), (11, 11), (1, 6000), (301, 17)])
def test_odd_sizes(form, size_wh):
    data = saved(Image.new("RGB", size_wh, (200, 100, 50)), form)
    assert images.image_size_wh(data) == size_wh
    assert images.decode_image(data).shape == (size_wh[1], size_wh[0], 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_as_pillow_does(form, orientation):
    data = saved(RGB, form, exif=exif(orientation))
    upright = images.decode_image(data, "exif")
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert difference(upright, np.asarray(expected)) <= 8
    assert upright.flags.c_contiguous
    stored = images.decode_image(data)
    assert images.image_size_wh(data) == stored.shape[1::-1]
    if form != "TIFF":
        assert images.exif_orientation(data) == orientation
        assert difference(stored, PICTURE) <= 60
    else:  # every decoder turns a TIFF
        assert images.exif_orientation(data) == 1
        np.testing.assert_array_equal(stored, upright)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        PNG,
        saved(RGB, "JPEG", exif=exif(0)),
        saved(RGB, "JPEG", exif=exif(9)),
        saved(RGB, "JPEG", exif=b"Exif\0\0"),
        saved(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff"),
        saved(RGB, "PNG", exif=b"garbage"),
    ],
)
def test_absent_or_broken_exif_means_upright(data):
    assert images.exif_orientation(data) == 1
    np.testing.assert_array_equal(images.decode_image(data, "exif"), images.decode_image(data))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_header_gives_size_and_orientation_at_once(orientation, monkeypatch):
    data = saved(RGB, "JPEG", exif=exif(orientation))
    header = images.read_header(data)
    assert header == ((WIDTH, HEIGHT), orientation)
    assert header.upright_wh == ((HEIGHT, WIDTH) if orientation == 6 else (WIDTH, HEIGHT))
    parsed, parse = [], headers.read_jpeg
    monkeypatch.setattr(headers, "read_jpeg", lambda data: parsed.append(1) or parse(data))
    images.decode_image(data, "exif")
    assert len(parsed) == 1


def test_orientation_is_one_of_two_words():
    with pytest.raises(InputError, match="'auto', expected 'stored' or 'exif'"):
        images.decode_image(JPEG, "auto")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html><body>404</body></html>", "not an image"),
        (bytes(5000), "not an image"),
        (b"\n\r\t\0", "not an image"),
        (saved(RGB, "JPEG2000"), "not an image"),
        (saved(RGB, "PPM"), "not an image"),
        (b"\xff\xd8", "not an image"),
        (b"\xff\xd8\xff\xe0", "broken"),
        (b"\xff\xd8\xff" * 1000, "broken"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "broken"),
        (b"\0\0\0\x10ftypavif" + bytes(100), "broken"),
        (b"II*\0\xff\xff\xff\xff", "broken"),
        (PNG[:-30] + bytes([PNG[-30] ^ 1]) + PNG[-29:], "broken"),  # checksum
        (with_frame_size(JPEG, 0, 0), "broken"),
        (JPEG[: JPEG.index(b"\xff\xda")] + b"\xff\xd9", "broken"),
        (b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\x1f\x4e\0" * 2 + bytes(9), "broken"),
        (saved(GRAY.convert("F"), "TIFF"), "broken"),  # float samples: no 0..255
    ],
)
def test_what_is_no_picture_is_refused(data, reason):
    with pytest.raises(ImageError) as error:
        images.decode_image(data)
    assert error.value.reason == reason
    assert str(error.value).isprintable()


def unfolding_text() -> bytes:
    return chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(7_900_000), 9))


def many_scans() -> bytes:
    data = saved(RGB, "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last_scan * 100 + data[-2:]


BOMBS = {
    "png 20000x20000": png(20000, 20000, rows=20000),
    "png 2^31-1": png(2**31 - 1, 2**31 - 1),
    "gif 20000x20000": b"GIF89a"
    + struct.pack("<HHBBB", 20000, 20000, 0x80, 0, 0)
    + bytes(6)
    + struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0)
    + b"\x02\x02\x44\x01\x00;",
    "jpeg 20000x20000": with_frame_size(JPEG, 20000, 20000),
    "jpeg 65000x65000": with_frame_size(JPEG, 65000, 65000),
    "jpeg, bytes before its frame": with_frame_size(JPEG, 20000, 20000).replace(
        b"\xff\xc0", b"\1\2\3\xff\xff\xc0", 1
    ),
    "jpeg scans": many_scans(),
    "bmp 20000x20000": b"BM"
    + struct.pack("<IHHI", 0, 0, 0, 62)
    + struct.pack("<IiiHHIIiiII", 40, 20000, -20000, 1, 8, 1, 10, 0, 0, 2, 0)
    + bytes(8)
    + b"\0\1",
    "webp 16383x16383": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f" + b"\xfe\xbf\xff\x0f" + bytes(12),
    "tiff 20000x20000": tiff(">", {256: 20000, 257: 20000, 278: 20000}, bytes(99)),
    "tiff tile": tiff("<", {256: 16, 257: 16, 322: 16000, 323: 16000}, bytes(99)),
    "avif 20000x20000": FILES["avif"][0].replace(
        struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 20000, 20000)
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header(name, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError) as error:
        images.decode_image(BOMBS[name])
    assert error.value.reason == "too large"


def test_the_largest_picture_is_read_and_a_pixel_more_is_not():
    """By their headers alone: 10,000 times 5,000, and 3 times 16,666,667."""
    filling = chunk(b"tEXt", bytes(6100))
    assert images.image_size_wh(png(10_000, 5_000, filling)) == (10_000, 5_000)
    with pytest.raises(ImageError, match="3 x 16666667 pixels, at most 50,000,000 pixels are"):
        images.image_size_wh(png(3, 16_666_667, filling))


PEAK_OF_A_CHILD = """
import sys
from pathlib import Path
from kptkit import images

def peak_mb():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

images.decode_image(images.encode_jpeg(images.read_image(sys.argv[1])))
before = peak_mb()
for path in sys.argv[2:]:
    try:
        images.read_image(path)
    except images.ImageError as error:
        assert error.reason == "too large"
    else:
        sys.exit(path)
print(peak_mb() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_bombs_cost_no_memory(tmp_path):
    paths = []
    for number, data in enumerate([JPEG, *BOMBS.values()]):
        paths.append(tmp_path / f"{number}.bin")
        paths[-1].write_bytes(data)
    command = [sys.executable, "-c", PEAK_OF_A_CHILD, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 64


def unusable_path(kind: str, folder) -> object:
    path = folder / "picture.jpg"
    if kind == "missing":
        return path
    if kind == "inside a file":
        path.touch()
        return path / "picture.jpg"
    if kind == "no file's name":
        return f"{folder}/a\0b.jpg"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(path.name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "forbidden":
        path.touch(mode=0)
    elif kind == "too large":
        with open(path, "wb") as file:
            file.truncate(images.MAX_FILE_BYTES + 1)
    elif kind == "empty":
        path.touch()
    else:
        path.write_bytes(JPEG[:-2])
    return path


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the socket's only end
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty"),
        ("missing", "missing"),
        ("inside a file", "missing"),
        ("no file's name", "missing"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("socket", "not a regular file"),
        ("device", "not a regular file"),
        ("link to itself", "unreadable"),
        ("forbidden", "unreadable"),
        ("too large", "too large"),
        ("truncated", "broken"),
    ],
)
def test_unusable_files_are_named(kind, reason, tmp_path, monkeypatch):
    if kind == "forbidden" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    monkeypatch.chdir(tmp_path)
    path = unusable_path(kind, tmp_path)
    with pytest.raises(ImageError) as error:
        images.read_image(path)
    assert error.value.reason == reason
    assert str(error.value).startswith(f"{printable(path)}: ")


@pytest.mark.parametrize(
    "name",
    [b"plain.png", b"caf\xe9_\xff.jpg", "né\u2028 ß.txt".encode(), b"two\nlines.jpg", b"n" * 255],
)
def test_odd_names_are_read_and_printed_on_one_line(name, tmp_path):
    path = os.path.join(tmp_path, os.fsdecode(name))
    with pytest.raises(ImageError) as error:
        images.read_image(path)
    message = str(error.value)
    assert message.isprintable()
    message.encode()
    with open(path, "wb") as file:
        file.write(PNG)
    np.testing.assert_array_equal(images.read_image(path), PICTURE)
    np.testing.assert_array_equal(images.read_image(os.fsencode(path)), PICTURE)


def test_errors_cross_process_borders():
    error = pickle.loads(pickle.dumps(ImageError("a.jpg: empty", "empty")))
    assert (str(error), error.reason) == ("a.jpg: empty", "empty")


FROZEN = PICTURE.copy()
FROZEN.flags.writeable = False


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PICTURE, PICTURE),
        (FROZEN, PICTURE),
        (PICTURE[::-2, ::3], np.array(PICTURE[::-2, ::3])),
        (np.asfortranarray(PICTURE), PICTURE),
        (np.dstack([PICTURE, PICTURE[..., :1]]), PICTURE),
        (PICTURE[..., 0], np.dstack([PICTURE[..., 0]] * 3)),
        (PICTURE[..., 1:2], np.dstack([PICTURE[..., 1]] * 3)),
    ],
)
def test_arrays_that_are_pictures(array, expected):
    image = images.as_image(array)
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "reason", "found"),
    [
        (np.zeros((0, 0, 3), np.uint8), "empty", r"uint8 array of shape \(0, 0, 3\)"),
        (np.zeros((5, 0), np.uint8), "empty", r"\(5, 0\)"),
        (None, "not an image", "NoneType"),
        ([[0, 1], [2, 3]], "not an image", "list"),
        ("picture.jpg", "not an image", "str"),
        (PICTURE / 255, "not an image", "float64 array"),
        (PICTURE.astype(np.float32), "not an image", "float32"),
        (PICTURE.astype(">u2"), "not an image", "uint16|>u2"),
        (PICTURE > 9, "not an image", "bool"),
        (PICTURE[None], "not an image", r"\(1, 80, 120, 3\)"),
        (PICTURE[..., :2], "not an image", r"\(80, 120, 2\)"),
        (np.zeros((), np.uint8), "not an image", r"\(\)"),
    ],
)
def test_arrays_that_are_not(array, reason, found):
    with pytest.raises(ImageError, match=found) as error:
        images.as_image(array)
    assert error.value.reason == reason
    assert "expected" in str(error.value)


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".JPG", 15), (".jpeg", 15)])
def test_written_pictures_are_read_back(suffix, tolerance, tmp_path):
    path = tmp_path / f"new folder/picture{suffix}"
    images.write_image(path, FROZEN)
    assert difference(images.read_image(path), PICTURE) <= tolerance
    assert os.listdir(path.parent) == [path.name]


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"a\.tif: the name must end in"):
        images.write_image(tmp_path / "a.tif", PICTURE)
    with pytest.raises(ImageError, match="cannot be written"):
        images.write_image(tmp_path / "a.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"subsampling": 0}, {"subsampling": 1}, {"quality": 30}, {"progressive": True}],
)
@pytest.mark.parametrize("size_wh", [(120, 80), (37, 53)])
def test_tensorflow_decodes_jpeg_to_the_same_bits(settings, size_wh):
    tf = pytest.importorskip("tensorflow")
    noise = np.random.default_rng(1).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), RGB.resize(size_wh)):
        data = saved(picture, "JPEG", **settings)
        decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        np.testing.assert_array_equal(images.decode_image(data), decoded.numpy())


def mutated(data: bytes, rng: random.Random) -> bytes:
    content = bytearray(data)
    reach = rng.choice([100, len(content)])  # headers are where the decisions fall
    for _ in range(rng.choice([1, 2, 8])):
        position = rng.randrange(reach)
        length = rng.choice([1, 1, 4, 20])
        content[position : position + length] = rng.choice(
            [b"", b"\xff" * length, bytes(length), rng.randbytes(length), rng.randbytes(9)]
        )
    return bytes(content)


@each_file
def test_mutated_files_give_a_picture_or_an_image_error(name):
    rng = random.Random(name)
    kept = 0
    for _ in range(160):
        data = mutated(FILES[name][0], rng)
        try:
            image = images.decode_image(data, rng.choice(["stored", "exif"]))
        except ImageError:
            continue
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.size > 0
        kept += 1
    assert kept < 160
