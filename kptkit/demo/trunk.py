"""Draws the trunks of the demo people: elliptical cross-sections from hips to neck, with clothes.

Details on the chest and the seat distinguish front from back.
"""

import numpy as np

from kptkit.demo.canvas import Canvas, unit
from kptkit.demo.look import BARE_CHEST, BUTTONS, JACKET, PRINT, TIE, Look, mix
from kptkit.demo.pose import Pose

# Heights along the trunk (0: hips, 1: neck), and the half depths there in statures.
_TRUNK_T = (-0.16, -0.04, 0.10, 0.45, 0.80, 0.92, 0.99, 1.06)
_LEVELS = 128
_TRUNK_DEPTH = (0.045, 0.068, 0.070, 0.062, 0.074, 0.060, 0.045, 0.034)
_LENGTH = 0.28  # statures, for the patterns of cloth


def draw_trunk(
    canvas: Canvas,
    hips_xyz: np.ndarray,
    neck_xyz: np.ndarray,
    scale: float,
    pose: Pose,
    look: Look,
    owner: int,
) -> None:
    """Draws the trunk.

    Args:
        hips_xyz, neck_xyz: (3,) x, y in image pixels and z.
        scale: pixels per stature.
        owner: canvas number of the part.
    """
    hips, neck = hips_xyz.tolist(), neck_xyz.tolist()
    reach = 0.14 * scale
    window = canvas.window(
        [min(a, b) - reach for a, b in zip(hips, neck, strict=True)],
        [max(a, b) + reach for a, b in zip(hips, neck, strict=True)],
    )
    if window is None:
        return
    rows, columns, x, y = window
    x, y = x - hips[0], y - hips[1]
    ax, ay, az = (b - a for a, b in zip(hips, neck, strict=True))
    length = max((ax * ax + ay * ay) ** 0.5, 0.1 * scale)
    t = x * (ax / length**2) + y * (ay / length**2)
    # The normal of the trunk's axis in the image, and the body's axes projected on it.
    nx, ny = -ay / length, ax / length
    left, forward = pose.trunk[:, 0].tolist(), pose.trunk[:, 2].tolist()
    left_n, forward_n = nx * left[0] + ny * left[1], nx * forward[0] + ny * forward[1]
    half_width, half_depth = _trunk_profile(pose)
    level = (unit((t - _TRUNK_T[0]) / (_TRUNK_T[-1] - _TRUNK_T[0])) * (_LEVELS - 1)).astype(np.intp)
    silhouette = (scale * np.hypot(half_width * left_n, half_depth * forward_n))[level]
    bulge = (scale * np.hypot(half_width * left[2], half_depth * forward[2]))[level]
    across = x * nx + y * ny
    coverage = unit(silhouette - np.abs(across) + 0.5)
    coverage *= unit((t + 0.14) * length) * unit((1.06 - t) * length)
    sine = np.minimum(np.maximum(across / silhouette, -1), 1)
    cosine = np.sqrt(1 - sine * sine)
    side = sine * left_n - cosine * left[2]
    front = sine * forward_n - cosine * forward[2]
    light_n = nx * canvas.light[0] + ny * canvas.light[1]
    shade = canvas.shade(sine * light_n - cosine * canvas.light[2])
    colour = _clothes(look, t, side, front) * shade
    depth = hips[2] + t * az - bulge * cosine
    canvas.paint(rows, columns, colour, coverage, depth, owner)


def _trunk_profile(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Half widths and half depths in statures, at _LEVELS heights over the range of _TRUNK_T."""
    hip, shoulder = pose.hip_width + 0.045, pose.shoulder_width
    widths = [0.5 * hip, hip, hip, 0.72 * shoulder, 0.98 * shoulder, 0.9 * shoulder]
    widths += [0.55 * shoulder, 0.035]
    heights = np.linspace(_TRUNK_T[0], _TRUNK_T[-1], _LEVELS, dtype=np.float32)
    width = np.interp(heights, _TRUNK_T, widths).astype(np.float32)
    return width, pose.girth * np.interp(heights, _TRUNK_T, _TRUNK_DEPTH).astype(np.float32)


def _clothes(look: Look, t: np.ndarray, side: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Colours (3, h, w) at height t; side, front: cosines of the normal with left and forward."""
    width, ahead = np.abs(side), unit(12 * front)
    colour = look.shirt.at(t * np.float32(_LENGTH), side)
    colour = mix(colour, look.chest_colour, ahead * _chest(look.chest, t, width))
    neckline = (0.78 if look.chest == BARE_CHEST else 0.88) + 0.3 * width
    bare = np.maximum(np.minimum(t - neckline, front), t - 1.0)
    colour = mix(colour, look.skin, unit(25 * bare))
    if look.backpack:
        strap = unit(20 * (0.09 - np.abs(width - 0.55))) * (t > 0.4)
        colour = mix(colour, look.chest_colour * np.float32(0.6), ahead * strap)
    trousers = look.trousers.at(t * np.float32(_LENGTH), side)
    pockets = unit(12 * np.minimum(0.2 - np.abs(width - 0.45), -front)) * unit(20 * (0.06 - t))
    trousers = trousers * (1 - 0.45 * pockets)
    buckle = unit(25 * (0.12 - width)) * unit(60 * (0.035 - np.abs(t - 0.07)))
    trousers = mix(trousers, look.chest_colour, ahead * buckle)
    return mix(colour, trousers, unit(40 * (0.10 - t)))


def _chest(kind: int, t: np.ndarray, width: np.ndarray) -> np.ndarray | float:
    """Shares (h, w) of the second colour on the front of a shirt."""
    if kind == BUTTONS:
        return unit(0.6 * unit(30 * (0.06 - width)) + (width < 0.06) * (np.sin(40 * t) > 0.6))
    if kind == PRINT:
        return unit(14 * np.minimum(0.5 - width, 4 * np.minimum(t - 0.52, 0.82 - t)))
    if kind == JACKET:
        return unit(16 * (0.30 - width))
    if kind == TIE:
        return unit(20 * (0.05 + 0.10 * (0.95 - t) - width)) * (t > 0.35)
    return 0.0
