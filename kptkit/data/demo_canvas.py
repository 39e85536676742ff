"""A canvas with depth for the demo scenes: shaded capsules and shapes, and who owns each pixel.

Everything is in image pixels (the centre of the top-left pixel is (0, 0)); z points away from the
camera and is in pixels too.
"""

from collections.abc import Callable

import numpy as np

NOBODY = -1

# (t, around) of every pixel, each (h, w), to its colour (h, w, 3): t runs from 0 to 1 along the
# limb, around from -1 to 1 across it.
Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Canvas:
    """An opaque picture that remembers depth and owner of every pixel.

    Attributes:
        colour: (H, W, 3) float32 RGB, 0..255.
        depth: (H, W) float32 z of the nearest surface, infinite where only background is.
        owner: (H, W) int32 number of the part that is seen, NOBODY where it is no person's.
        light: (3,) unit vector towards the light.
        ambient: share of the light that comes from everywhere.
    """

    def __init__(self, background: np.ndarray, light: np.ndarray, ambient: float) -> None:
        self.colour = background.astype(np.float32)
        self.depth = np.full(background.shape[:2], np.inf, np.float32)
        self.owner = np.full(background.shape[:2], NOBODY, np.int32)
        self.light = light.astype(np.float32)
        self.ambient = np.float32(ambient)

    def window(
        self, low_xy: np.ndarray, high_xy: np.ndarray
    ) -> tuple[slice, slice, np.ndarray, np.ndarray] | None:
        """Rows, columns, and x (1, w) and y (h, 1) of the pixels from low to high; None if none."""
        height, width = self.depth.shape
        left, right = max(int(low_xy[0]) - 1, 0), min(int(high_xy[0]) + 3, width)
        top, bottom = max(int(low_xy[1]) - 1, 0), min(int(high_xy[1]) + 3, height)
        if left >= right or top >= bottom:
            return None
        x = np.arange(left, right, dtype=np.float32)[None, :]
        y = np.arange(top, bottom, dtype=np.float32)[:, None]
        return slice(top, bottom), slice(left, right), x, y

    def shade(self, across: np.ndarray, down: np.ndarray, away: np.ndarray) -> np.ndarray:
        """Brightness (h, w, 1) of surfaces from the parts of their unit normals."""
        facing = across * self.light[0] + down * self.light[1] + away * self.light[2]
        return (self.ambient + (1.25 - self.ambient) * np.maximum(facing, 0))[..., None]

    def paint(
        self,
        rows: slice,
        columns: slice,
        colour: np.ndarray,
        coverage: np.ndarray,
        depth: np.ndarray | float,
        owner: int,
    ) -> None:
        """Lays a patch (h, w, 3) over the pixels that it covers (h, w: 0..1) and is nearest at."""
        behind = self.depth[rows, columns]
        alpha = coverage * (depth < behind)
        region = self.colour[rows, columns]
        region += alpha[..., None] * (colour - region)
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
        """A shaded capsule from start to end with radii (start, bulge in between, end)."""
        first, bulge, last = (np.float32(radius) for radius in radii)
        reach = max(first, last) + bulge
        low, high = np.minimum(start_xyz, end_xyz) - reach, np.maximum(start_xyz, end_xyz) + reach
        window = self.window(low, high)
        if window is None:
            return
        rows, columns, x, y = window
        ax, ay, az = (end_xyz - start_xyz).astype(np.float32)
        length = np.float32(max(np.hypot(ax, ay), 1e-2))
        x, y = x - np.float32(start_xyz[0]), y - np.float32(start_xyz[1])
        t = np.clip((x * ax + y * ay) / length**2, 0, 1)
        dx, dy = x - t * ax, y - t * ay
        radius = first + t * ((last - first) + 4 * bulge * (1 - t))
        distance2 = dx * dx + dy * dy
        coverage = np.clip(radius - np.sqrt(distance2) + 0.5, 0, 1)
        rise = np.sqrt(np.maximum(radius * radius - distance2, 0))
        around = (x * ay - y * ax) / (length * radius)
        colour = paint(t, around) * self.shade(dx / radius, dy / radius, -rise / radius)
        depth = np.float32(start_xyz[2]) + t * az - rise
        self.paint(rows, columns, colour, coverage, depth, owner)
