"""The surroundings of the demo people: cluttered backgrounds, occluders, and a camera's faults."""

from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np

from kptkit.demo.canvas import NOBODY, Canvas
from kptkit.demo.look import plain, sample_cloth, sample_skin, sleeve
from kptkit.demo.random import random_colour

# 256 quantiles of the standard normal distribution, to turn random bytes into noise.
_NORMAL = np.array([NormalDist().inv_cdf((byte + 0.5) / 256) for byte in range(256)])


@dataclass(frozen=True)
class Camera:
    """The properties of a simulated camera.

    Attributes:
        brightness, contrast: factors.
        tint: (3,) factors of red, green and blue.
        blur: standard deviation in pixels.
        noise: standard deviation in grey values.
    """

    brightness: float
    contrast: float
    tint: np.ndarray
    blur: float
    noise: float


def sample_camera(rng: np.random.Generator) -> Camera:
    """A random camera, usually mild, sometimes dark, blurred or noisy."""
    return Camera(
        brightness=np.exp(rng.normal(0, 0.17)),
        contrast=np.exp(rng.normal(-0.05, 0.18)),
        tint=np.exp(rng.normal(0, 0.05, 3)),
        blur=max(rng.normal(0, 0.45), 0.0),
        noise=max(rng.normal(1.5, 3), 0.0),
    )


def photograph(colour: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """The camera's image (H, W, 3) uint8 RGB of a canvas's colours (3, H, W)."""
    gain = camera.brightness * camera.contrast * camera.tint
    offset = 118 * camera.brightness * (1 - camera.contrast)
    response = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)
    picture = cv2.LUT(cv2.merge([cv2.convertScaleAbs(plane) for plane in colour]), response[None])
    if camera.blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur)
    if camera.noise > 0.5:
        grain = np.frombuffer(rng.bytes(picture.size), np.uint8).reshape(picture.shape)
        noise = cv2.LUT(grain, np.round(camera.noise * _NORMAL).astype(np.int16))
        picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
    return picture


def draw_backdrop(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """A background (H, W, 3) uint8: gradients, a floor, shapes, lines and coarse noise."""
    height = size_wh[1]
    corners = np.array([random_colour(rng, 0.2, 1.0, 0.6) for _ in range(6)]).reshape(3, 2, 3)
    picture = cv2.resize(corners.astype(np.uint8), size_wh)
    coarse = rng.normal(0, rng.uniform(3, 22), (rng.integers(4, 60), rng.integers(4, 60)))
    grain = cv2.resize(coarse.astype(np.int16), size_wh)
    picture = cv2.add(picture, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    if rng.random() < 0.6:
        horizon = int(height * rng.uniform(0.35, 0.85))
        floor = np.full_like(picture[horizon:], random_colour(rng, 0.2, 0.9, 0.5).ravel())
        picture[horizon:] = cv2.addWeighted(picture[horizon:], 0.35, floor, 0.65, 0)
    for _ in range(rng.integers(4, 22)):
        _shape(rng, picture)
    return picture


def draw_distractors(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draws poles and objects that look like limbs, behind all people."""
    for _ in range(rng.integers(0, 5)):
        _pole(rng, canvas)
    for _ in range(rng.integers(0, 5)):
        skin, size = sample_skin(rng), rng.uniform(60, 260)
        start = np.array([*(rng.random(2) * canvas.depth.shape[::-1]), 3e5])
        turn = rng.uniform(0, 2 * np.pi)
        for length in (0.2, 0.18):
            end = start + size * length * np.array([np.cos(turn), np.sin(turn), 0])
            paint = sleeve(sample_cloth(rng), skin, rng.uniform(0, 1.2), length, 1)
            canvas.limb(start, end, (0.035 * size, 0, 0.028 * size), paint, NOBODY)
            start, turn = end, turn + rng.uniform(-1.5, 1.5)


def draw_occluder(rng: np.random.Generator, canvas: Canvas, z: float) -> None:
    """Draws a board, post or bush at depth z, in front of everything farther away."""
    height, width = canvas.depth.shape
    kind = rng.integers(3)
    mask = np.zeros((height, width), np.uint8)
    if kind == 0:
        centre = rng.random(2) * (width, height) + (0, 0.25 * height)
        sides = rng.uniform(0.05, 0.22, 2) * width
        corners = cv2.boxPoints((centre.tolist(), sides.tolist(), rng.normal(0, 8)))
        cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    elif kind == 1:
        x, lean, thick = rng.random() * width, rng.normal(0, 20), int(rng.integers(4, 12))
        cv2.line(mask, (int(x), 0), (int(x + lean), height), 255, thick, cv2.LINE_AA)
    else:
        centre = rng.random(2) * width * (1, 0.5) + (0, 0.55 * height)
        for offset in rng.normal(0, 0.05 * width, (14, 2)):
            place = np.round(centre + offset).astype(int)
            cv2.circle(mask, place.tolist(), int(rng.integers(4, 18)), 255, -1, cv2.LINE_AA)
    x, y, w, h = cv2.boundingRect(mask)
    if w == 0 or h == 0:
        return
    patch = np.empty((h, w, 3), np.uint8)
    patch[:] = random_colour(rng, 0.15, 0.95).ravel()
    for _ in range(rng.integers(0, 8)):
        _shape(rng, patch)
    coverage = mask[y : y + h, x : x + w].astype(np.float32) / 255
    canvas.paint(slice(y, y + h), slice(x, x + w), np.moveaxis(patch, 2, 0), coverage, z, NOBODY)


def _shape(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Draws a random polygon, striped board, ellipse or line in place."""
    height, width = picture.shape[:2]
    colour = random_colour(rng, 0.1, 1.0, 0.8).ravel().tolist()
    centre = rng.random(2) * (width, height)
    size = width * rng.uniform(0.03, 0.3)
    kind = rng.integers(4)
    if kind == 0:
        points = centre + rng.normal(0, size / 2, (rng.integers(3, 7), 2))
        cv2.fillPoly(picture, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA)
    elif kind == 1:
        (x, y), gap = centre.astype(int).tolist(), int(rng.integers(4, 14))
        for row in range(y, min(int(y + size), height), gap):
            cv2.rectangle(picture, (x, row), (int(x + size), row + gap // 2), colour, -1)
    elif kind == 2:
        radii = np.maximum(rng.uniform(0.2, 0.6, 2) * size, 1).astype(int).tolist()
        thick = -1 if rng.random() < 0.5 else int(rng.integers(1, 6))
        place = centre.astype(int).tolist()
        cv2.ellipse(picture, place, radii, rng.uniform(0, 180), 0, 360, colour, thick, cv2.LINE_AA)
    else:
        start, end = np.round(centre + rng.normal(0, 1.5 * size, (2, 2))).astype(int).tolist()
        cv2.line(picture, start, end, colour, int(rng.integers(1, 9)), cv2.LINE_AA)


def _pole(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draws a post about as thick as a limb, sometimes with a ball on top."""
    height, width = canvas.depth.shape
    foot = np.array([rng.uniform(0, width), rng.uniform(0.4, 1.1) * height, 3e5])
    top = foot - [rng.normal(0, 15), rng.uniform(0.2, 0.8) * height, 0]
    radius, paint = rng.uniform(2, 9), plain(random_colour(rng, 0.2, 1.0))
    canvas.limb(foot, top, (radius, 0, radius), paint, NOBODY)
    if rng.random() < 0.5:
        canvas.limb(top, top, (2 * radius, 0, 2 * radius), paint, NOBODY)
