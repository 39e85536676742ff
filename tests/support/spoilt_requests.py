"""Every kind of malformed request, made from a good one."""

from collections.abc import Iterator

import numpy as np

Inputs = dict[str, np.ndarray]
OTHER_TYPES = (np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)


def spoilt(inputs: Inputs) -> Iterator[tuple[str, Inputs]]:
    """What is wrong and the request that has it."""
    for name, good in inputs.items():
        for kind, bad in [*spoilt_shapes(good), *spoilt_values(name, good)]:
            yield f"{name}: {kind}", inputs | {name: bad}
        without = {key: value for key, value in inputs.items() if key != name}
        yield f"{name}: missing", without
        yield f"{name}: by another name", without | {f"{name}s": good}
    if "images" in inputs:
        count = len(inputs["images"])
        plane = np.zeros((count, 1, 50_000_001, 3), np.uint8)
        image_hw = np.int32([[1, 50_000_001]] * count)
        yield "50,000,001 pixels", inputs | {"images": plane, "image_hw": image_hw}
    if "image_bytes" in inputs:
        # 440 million pixels in eleven black and white PNGs, whose bytes could hold so many.
        sides = (10_000).to_bytes(4, "big") + (4_000).to_bytes(4, "big")
        head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + b"\1\0\0\0\0" + bytes(4)
        body = (10_000).to_bytes(4, "big") + b"IDAT" + bytes(10_004)
        files = np.array([head + body + b"\0\0\0\0IEND\xaeB`\x82"] * 11, object)
        others = {name: np.concatenate([good[:1]] * 11) for name, good in inputs.items()}
        yield "440,000,000 pixels", others | {"image_bytes": files}
    yield "one input too many", inputs | {"more": np.zeros(1, np.float32)}
    yield "no inputs", {}


def spoilt_shapes(good: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "a scalar", good.flat[0] if good.dtype != object else np.array(good.flat[0], object)
    yield "no batch side", good[0] if good.ndim > 1 else np.array(good[0], object)
    yield "one side too many", good[None]
    yield "one side too many at the end", good[..., None]
    yield "an empty batch", good[:0]
    yield "a batch of 1,025", np.concatenate([good[:1]] * 1025)
    if good.ndim > 1:
        yield "flat", good.ravel()
        yield "a last side too short", good[..., :-1]
        yield "a last side too long", np.concatenate([good, good[..., :1]], axis=-1)
        yield "transposed", np.ascontiguousarray(good.T)


def spoilt_values(name: str, good: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for dtype in OTHER_TYPES:
        if dtype != good.dtype:
            other = np.zeros(good.shape, dtype) if good.dtype == object else good.astype(dtype)
            yield f"as {np.dtype(dtype)}", other
    if good.dtype != object:
        yield "as strings", np.full(good.shape, b"1", object)
    if name == "boxes":
        for value in (np.nan, np.inf, -np.inf, 3e38, 1e30):
            bad = good.copy()
            bad[0, 0, 2] = value
            yield f"{value}", bad
        yield "129 on a picture", np.resize(good, (len(good), 129, 4))
        yield "a million", np.resize(good, (len(good), 10**6, 4))
    if name == "image_hw":
        for change in (-10_000, 1, 10_000):
            yield f"{change} pixels more", good + np.int32(change)
        yield "nothing", good * 0
        yield "the largest", np.full_like(good, 2**31 - 1)
        yield "the lowest", np.full_like(good, -(2**31))
    if name == "images":
        yield "no rows", good[:, :0]
        yield "no columns", good[:, :, :0]
    if name == "image_bytes":
        jpeg = good[0]
        start = jpeg.index(b"\xff\xc0") + 5
        files = {
            "no bytes": b"",
            "garbage": bytes(range(256)) * 9,
            "zeros": bytes(9999),
            "a page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
            "a marker": jpeg[:2],
            "a header": jpeg[:400],
            "half": jpeg[: len(jpeg) // 2],
            "all but the end": jpeg[:-200],
            "2^32 pixels": jpeg[:start] + b"\xff\xff\xff\xff" + jpeg[start + 4 :],
            "no pixels": jpeg[:start] + bytes(4) + jpeg[start + 4 :],
            "a GIF": b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
            "a PNG without pixels": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(64),
            "a BMP of nothing": b"BM" + bytes(64),
            "a WebP of nothing": b"RIFF\x40\0\0\0WEBPVP8 " + bytes(64),
        }
        for kind, file in files.items():
            rest = list(good[1:])
            yield kind, np.array([file, *rest], object)
