"""Heads of the demo people: an ellipsoid with hair, and a face where a face is."""

from collections.abc import Callable

import cv2
import numpy as np

from kptkit.data.demo_canvas import Canvas
from kptkit.data.demo_look import BALD, BOB, LONG, SHORT, Look, mix, plain

# Places on the unit sphere's scale of the skull: left, up, forward of its centre.
NOSE_TIP = np.array([0.0, -0.14, 1.17])
EYES = {"left": np.array([0.37, 0.10, 0.92]), "right": np.array([-0.37, 0.10, 0.92])}
EARS = {"left": np.array([1.03, -0.03, -0.10]), "right": np.array([-1.03, -0.03, -0.10])}
MOUTH_CORNERS = {"left": np.array([0.30, -0.47, 0.83]), "right": np.array([-0.30, -0.47, 0.83])}

# The face's rim, from the hairline to the chin, from which its box is taken.
_turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_rim = np.stack([0.80 * np.cos(_turn), -0.18 + 0.74 * np.sin(_turn)])
FACE_RIM = np.stack([*_rim, np.sqrt(np.maximum(1 - (_rim**2).sum(axis=0), 0))], axis=1)

_CIRCLE = np.stack([np.cos(_turn[::2]), np.sin(_turn[::2])], axis=1)
_SHIFT = 4  # cv2 draws to a sixteenth of a pixel

# (points on the sphere (h, w, 3)) -> (colours (h, w, 3), coverage (h, w), owner number or (h, w))
Surface = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | float]]


def draw_head(
    canvas: Canvas, centre: np.ndarray, matrix: np.ndarray, look: Look, owners: tuple[int, int]
) -> None:
    """Draws skull, ears, nose, face and hair.

    Args:
        centre: (3,) of the skull, image pixels and z.
        matrix: (3, 3) from the skull's unit sphere to pixels: columns left, up, forward.
        look: the person's skin and hair.
        owners: numbers of the parts "head" and "hair" for the canvas.
    """
    head, hair = owners
    size = float(np.linalg.norm(matrix[:, 1]))
    for sign in (1, -1):
        top, bottom = (centre + matrix @ [sign * 0.98, up, -0.12] for up in (0.14, -0.2))
        paint = plain(look.skin * np.float32(0.88))
        canvas.limb(top, bottom, (0.17 * size, 0, 0.11 * size), paint, head)
    _ellipsoid(canvas, centre, matrix, lambda u: _face_skin(u, look), head, _face(matrix, look))
    bridge, tip = centre + matrix @ [0, 0.1, 0.93], centre + matrix @ (NOSE_TIP - [0, 0, 0.1])
    canvas.limb(bridge, tip, (0.06 * size, 0, 0.12 * size), plain(look.skin * 1.04), head)
    if look.hair_style != BALD:
        shell = matrix * np.float32(1.08)
        _ellipsoid(canvas, centre, shell, lambda u: _hair(u, look), hair, None)
    if look.hair_style == LONG:
        top, bottom = centre + matrix @ [0, 0.0, -0.45], centre + matrix @ [0, -1.5, -0.55]
        canvas.limb(top, bottom, (0.82 * size, 0, 0.6 * size), plain(look.hair), hair)


def _ellipsoid(
    canvas: Canvas,
    centre: np.ndarray,
    matrix: np.ndarray,
    surface: Surface,
    owner: int,
    decorate: Callable[[np.ndarray, np.ndarray], None] | None,
) -> None:
    """Paints the image of the unit sphere under `matrix`; `decorate(patch, origin_xy)` draws on."""
    reach = np.linalg.norm(matrix, axis=1)
    window = canvas.window(centre - reach, centre + reach)
    if window is None:
        return
    rows, columns, x, y = window
    inverse = np.linalg.inv(matrix).astype(np.float32)
    x, y = (x - np.float32(centre[0]))[..., None], (y - np.float32(centre[1]))[..., None]
    flat = inverse[:, 0] * x + inverse[:, 1] * y
    # |flat + z * inverse[:, 2]| = 1, solved for the nearer z.
    a = inverse[:, 2] @ inverse[:, 2]
    b = flat @ inverse[:, 2]
    rest = b * b - a * ((flat * flat).sum(axis=-1) - 1)
    z = (-b - np.sqrt(np.maximum(rest, 0))) / a
    sphere = flat + z[..., None] * inverse[:, 2]
    rim = np.sqrt(np.maximum(1 - rest / a, 0))
    coverage = np.clip((1 - rim) * np.float32(reach[:2].mean()) + 0.5, 0, 1)
    normal = sphere @ inverse
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    colour, cover = surface(sphere)
    colour = colour * canvas.shade(normal[..., 0], normal[..., 1], normal[..., 2])
    if decorate is not None:
        patch = np.clip(colour, 0, 255).astype(np.uint8)
        decorate(patch, np.array([centre[0] - columns.start, centre[1] - rows.start]))
        colour = patch
    canvas.paint(rows, columns, colour, coverage * cover, np.float32(centre[2]) + z, owner)


def _face_skin(sphere: np.ndarray, look: Look) -> tuple[np.ndarray, float]:
    if look.beard == 0:
        return np.broadcast_to(look.skin, sphere.shape), 1.0
    low, front = -0.32 - sphere[..., 1], sphere[..., 2] + 0.1
    share = np.clip(8 * np.minimum(low, front), 0, look.beard)
    return mix(look.skin, look.hair, share), 1.0


def _hair(sphere: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Hair above the hairline and behind the ears, down to the nape."""
    side, up, front = sphere[..., 0], sphere[..., 1], sphere[..., 2]
    nape, back = (-0.35, 0.02) if look.hair_style == SHORT else (-0.95, 0.40)
    cap = up - 0.52 + np.float32(look.fringe) * (1 + side)
    behind = np.minimum(np.float32(back) * (1 - 0.5 * np.maximum(up, 0)) - front, up - nape)
    if look.hair_style in (BOB, LONG):
        behind = np.minimum(behind, np.maximum(np.abs(side) - 0.62, 0.3 - front))
    strands = 1 + np.float32(0.10) * np.sin(14 * side + 9 * front)
    return look.hair * strands[..., None], np.clip(0.5 + 9 * np.maximum(cap, behind), 0, 1)


def _face(matrix: np.ndarray, look: Look) -> Callable[[np.ndarray, np.ndarray], None]:
    """Draws eyes, brows, mouth and nostrils onto a patch whose skull's centre is at origin_xy."""
    inverse = np.linalg.inv(matrix)

    def spot(patch: np.ndarray, origin_xy: np.ndarray, place: tuple, radii: tuple, colour) -> None:
        points = np.asarray(place) + _CIRCLE * radii
        depth = np.sqrt(np.maximum(1 - (points**2).sum(axis=1), 0.05))
        sphere = np.column_stack([points, depth])
        if (sphere.mean(axis=0) @ inverse)[2] > -0.02 * np.linalg.norm(inverse):
            return
        outline = origin_xy + sphere @ matrix[:2].T
        fixed = np.round(outline * 2**_SHIFT).astype(np.int32)
        cv2.fillConvexPoly(patch, fixed, [float(c) for c in colour], cv2.LINE_AA, _SHIFT)

    def decorate(patch: np.ndarray, origin_xy: np.ndarray) -> None:
        lips = look.skin * np.array([0.78, 0.48, 0.48])
        for sign in (1, -1):
            x = sign * 0.37
            if look.glasses:
                spot(patch, origin_xy, (x, 0.10), (0.29, 0.24), (30, 30, 34))
                spot(patch, origin_xy, (x, 0.10), (0.23, 0.18), look.skin * 0.95)
            spot(patch, origin_xy, (x, 0.10), (0.19, 0.105), (244, 242, 240))
            spot(patch, origin_xy, (x, 0.10), (0.095, 0.105), look.iris)
            spot(patch, origin_xy, (x, 0.32), (0.22, 0.05), look.hair * 0.6)
            spot(patch, origin_xy, (sign * 0.1, -0.24), (0.07, 0.045), look.skin * 0.45)
        spot(patch, origin_xy, (0, -0.47), (0.30, 0.075 + look.mouth_open), lips)
        if look.mouth_open > 0.03:
            spot(patch, origin_xy, (0, -0.47), (0.22, look.mouth_open), (70, 20, 24))

    return decorate
