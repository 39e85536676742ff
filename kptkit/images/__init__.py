"""Pictures: reading, writing, resizing and drawing them.

`area_resize` and `graph_codec`, which need TensorFlow, and `drawing` are imported by name.
"""

from kptkit.images.arguments import Picture, upright_image
from kptkit.images.codec import (
    MAX_FILE_BYTES,
    Orientation,
    as_image,
    decode_image,
    encode_jpeg,
    encode_png,
    read_bytes,
    read_image,
    write_image,
)
from kptkit.images.headers import (
    MAX_PIXELS,
    ImageError,
    ImageHeader,
    exif_orientation,
    image_size_wh,
    read_header,
)

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "ImageError",
    "ImageHeader",
    "Orientation",
    "Picture",
    "as_image",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "exif_orientation",
    "image_size_wh",
    "read_bytes",
    "read_header",
    "read_image",
    "upright_image",
    "write_image",
]
