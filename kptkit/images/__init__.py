"""Pictures: bytes in, RGB uint8 out; resizing and drawing."""

from kptkit.images.codec import (
    MAX_FILE_BYTES,
    Orientation,
    as_image,
    decode_image,
    encode_jpeg,
    encode_png,
    printable,
    read_bytes,
    read_image,
    upright_image,
    write_image,
)
from kptkit.images.headers import MAX_PIXELS, ImageError, exif_orientation, image_size_wh

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "ImageError",
    "Orientation",
    "as_image",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "exif_orientation",
    "image_size_wh",
    "printable",
    "read_bytes",
    "read_image",
    "upright_image",
    "write_image",
]
