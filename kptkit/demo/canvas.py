"""A canvas with a depth buffer for the demo scenes, which records the owner of each pixel.

Coordinates are image pixels ((0, 0) is the top-left pixel's centre); z points away from the camera,
in pixels too. Colours are planes, RGB 0..255: (3, 1, 1) or a patch (3, h, w), with which NumPy is
several times faster than with (h, w, 3).
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

NOBODY = -1

# Maps t (0 to 1 along a limb) and around (-1 to 1 across it), both (h, w), to colours (3, h, w) or
# (3, 1, 1).
Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


def unit(values: np.ndarray) -> np.ndarray:
    """Values clipped to 0..1; on small patches twice as fast as `np.clip`."""
    return np.minimum(np.maximum(values, 0), 1)


class Canvas:
    """An image with the depth and the owner of every pixel.

    Attributes:
        colour: (3, H, W) float32.
        depth: (H, W) float32 z of the nearest surface; infinite on the background.
        owner: (H, W) int32 number of the visible part; NOBODY if it does not belong to a person.
        light: unit vector (right, down, away) towards the light.
        ambient: share of ambient light.
    """

    def __init__(self, background: np.ndarray, light: np.ndarray, ambient: float) -> None:
        self.colour = np.stack(cv2.split(background)).astype(np.float32)
        height, width = background.shape[:2]
        self.depth = np.full((height, width), np.inf, np.float32)
        self.owner = np.full((height, width), NOBODY, np.int32)
        self.light = tuple(light.tolist())
        self.ambient = ambient

    def window(
        self, low_xy: Sequence[float], high_xy: Sequence[float]
    ) -> tuple[slice, slice, np.ndarray, np.ndarray] | None:
        """Rows, columns, x (1, w) and y (h, 1) of the pixels between two corners; None if empty."""
        height, width = self.depth.shape
        left, right = max(int(low_xy[0]) - 1, 0), min(int(high_xy[0]) + 3, width)
        top, bottom = max(int(low_xy[1]) - 1, 0), min(int(high_xy[1]) + 3, height)
        if left >= right or top >= bottom:
            return None
        x = np.arange(left, right, dtype=np.float32)[None, :]
        y = np.arange(top, bottom, dtype=np.float32)[:, None]
        return slice(top, bottom), slice(left, right), x, y

    def pixels(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The row and the column (N,) of the pixel that contains each point, and whether it exists.

        Points outside the image get pixel (0, 0).
        """
        height, width = self.depth.shape
        columns, rows = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        return rows * inside, columns * inside, inside

    def shade(self, facing: np.ndarray) -> np.ndarray:
        """Brightness (h, w) of surfaces, from the cosines of their normals with the light."""
        return self.ambient + (1.25 - self.ambient) * np.maximum(facing, 0)

    def paint(
        self,
        rows: slice,
        columns: slice,
        colour: np.ndarray,
        coverage: np.ndarray,
        depth: np.ndarray | float,
        owner: int,
    ) -> None:
        """Paints a patch (3, h, w) where it is the nearest surface.

        Args:
            coverage: (h, w) opacity, 0 to 1; depth and owner change where it exceeds 0.5.
        """
        behind = self.depth[rows, columns]
        alpha = coverage * (depth < behind)
        region = self.colour[:, rows, columns]
        region += alpha * (colour - region)
        solid = alpha > 0.5
        np.copyto(behind, depth, where=solid)
        np.copyto(self.owner[rows, columns], owner, where=solid)

    def limb(
        self,
        start_xyz: np.ndarray,
        end_xyz: np.ndarray,
        radii: tuple[float, float, float],
        paint: Paint,
        owner: int,
    ) -> None:
        """Draws a shaded capsule with radii (at the start, bulge in between, at the end)."""
        first, bulge, last = (float(radius) for radius in radii)
        (sx, sy, sz), (ex, ey, ez) = start_xyz.tolist(), end_xyz.tolist()
        reach = max(first, last) + bulge
        window = self.window(
            (min(sx, ex) - reach, min(sy, ey) - reach), (max(sx, ex) + reach, max(sy, ey) + reach)
        )
        if window is None:
            return
        rows, columns, x, y = window
        ax, ay = ex - sx, ey - sy
        length = max((ax * ax + ay * ay) ** 0.5, 1e-2)
        x, y = x - sx, y - sy
        t = unit(x * (ax / length**2) + y * (ay / length**2))
        dx, dy = x - t * ax, y - t * ay
        radius = first + t * ((last - first + 4 * bulge) - t * (4 * bulge))
        distance2 = dx * dx + dy * dy
        coverage = unit(radius - np.sqrt(distance2) + 0.5)
        rise = np.sqrt(np.maximum(radius * radius - distance2, 0))
        around = (x * (ay / length) - y * (ax / length)) / radius
        right, down, away = self.light
        colour = paint(t, around) * self.shade((dx * right + dy * down - rise * away) / radius)
        self.paint(rows, columns, colour, coverage, sz + t * (ez - sz) - rise, owner)
