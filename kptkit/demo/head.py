"""Draws the heads of the demo people: an ellipsoid with hair and a face."""

import cv2
import numpy as np

from kptkit.demo.canvas import Canvas, unit
from kptkit.demo.look import BALD, BOB, LONG, SHORT, Look, mix, plain

# Points in skull coordinates: left, up, forward of its centre, in units of its half axes.
NOSE_TIP = np.array([0.0, -0.14, 1.17])
EYES = {"left": np.array([0.37, 0.10, 0.92]), "right": np.array([-0.37, 0.10, 0.92])}
EARS = {"left": np.array([1.10, -0.03, -0.06]), "right": np.array([-1.10, -0.03, -0.06])}
MOUTH_CORNERS = {"left": np.array([0.30, -0.47, 0.83]), "right": np.array([-0.30, -0.47, 0.83])}

COCO_POINTS = np.stack([NOSE_TIP, EYES["left"], EYES["right"], EARS["left"], EARS["right"]])

# MTCNN's order, image left first in an upright image: the person's right side comes first.
FACE_LANDMARKS = np.stack(
    [EYES["right"], EYES["left"], NOSE_TIP, MOUTH_CORNERS["right"], MOUTH_CORNERS["left"]]
)

# The outline of the face from the hairline to the chin, from which its box is computed.
_turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_rim = np.stack([0.80 * np.cos(_turn), -0.18 + 0.74 * np.sin(_turn)])
FACE_RIM = np.stack([*_rim, np.sqrt(np.maximum(1 - (_rim**2).sum(axis=0), 0))], axis=1)

_CIRCLE = np.stack([np.cos(_turn[::2]), np.sin(_turn[::2])], axis=1)
_SHIFT = 4  # fractional bits of the coordinates given to cv2

_GLASSES, _EYEBALL, _THROAT = np.array([[30, 30, 34], [244, 242, 240], [70, 20, 24]])
_LIPS = np.array([0.78, 0.48, 0.48]).reshape(3, 1, 1)


def draw_head(
    canvas: Canvas, centre: np.ndarray, matrix: np.ndarray, look: Look, owners: tuple[int, int]
) -> None:
    """Draws skull, ears, nose, face and hair.

    Args:
        centre: (3,) of the skull: x, y in image pixels and z.
        matrix: (3, 3) from skull coordinates to pixels; its columns are left, up and forward.
        look: the person's skin and hair.
        owners: the canvas numbers of the parts "head" and "hair".
    """
    head, hair = owners
    size = float(np.linalg.norm(matrix[:, 1]))
    for sign in (1, -1):
        top, bottom = (centre + matrix @ [sign * 1.02, up, -0.10] for up in (0.12, -0.2))
        paint = plain(look.skin * np.float32(0.88))
        canvas.limb(top, bottom, (0.16 * size, 0, 0.10 * size), paint, head)
    _ellipsoid(canvas, centre, matrix, look, head, is_hair=False)
    bridge, tip = centre + matrix @ [0, 0.1, 0.93], centre + matrix @ (NOSE_TIP - [0, 0, 0.1])
    nose = plain(look.skin * np.float32(1.12))
    canvas.limb(bridge, tip, (0.06 * size, 0, 0.13 * size), nose, head)
    if look.hair_style != BALD:
        _ellipsoid(canvas, centre, 1.08 * matrix, look, hair, is_hair=True)
    if look.hair_style == LONG:
        top, bottom = centre + matrix @ [0, 0.0, -0.45], centre + matrix @ [0, -1.5, -0.55]
        canvas.limb(top, bottom, (0.82 * size, 0, 0.6 * size), plain(look.hair), hair)


def depth_in_skull(places: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N,) depths in pixels of points (N, 3) in skull coordinates behind the skull's surface.

    Zero or less if the skull is not in front of the point.
    """
    away = np.linalg.inv(matrix)[:, 2]
    # |place - depth * away| = 1, solved for the larger depth.
    a, b = away @ away, places @ away
    rest = b * b - a * ((places * places).sum(axis=1) - 1)
    return np.where(rest > 0, (b + np.sqrt(np.maximum(rest, 0))) / a, 0)


def _ellipsoid(
    canvas: Canvas,
    centre: np.ndarray,
    matrix: np.ndarray,
    look: Look,
    owner: int,
    is_hair: bool,
) -> None:
    """Paints the ellipsoid that `matrix` makes of the unit sphere: skull with face, or hair."""
    reach = np.linalg.norm(matrix, axis=1)
    window = canvas.window((centre - reach).tolist(), (centre + reach).tolist())
    if window is None:
        return
    rows, columns, x, y = window
    inverse = np.linalg.inv(matrix).astype(np.float32)
    across, down, away = (column[:, None, None] for column in inverse.T)
    flat = across * (x - np.float32(centre[0])) + down * (y - np.float32(centre[1]))
    # |flat + z * away| = 1, solved for the smaller z.
    a = np.vdot(away, away)
    b = (flat * away).sum(axis=0)
    rest = b * b - a * ((flat * flat).sum(axis=0) - 1)
    z = (-b - np.sqrt(np.maximum(rest, 0))) / a
    sphere = flat + z * away
    coverage = unit((1 - np.sqrt(np.maximum(1 - rest / a, 0))) * np.float32(reach[:2].mean()) + 0.5)
    # The normal is inverse.T @ sphere; its length follows from the norms of inverse's rows.
    light = (inverse @ canvas.light).astype(np.float32)[:, None, None]
    curvature = (inverse * inverse).sum(axis=1)[:, None, None]
    steepness = np.sqrt((sphere * sphere * curvature).sum(axis=0))
    shade = canvas.shade((sphere * light).sum(axis=0) / steepness)
    if is_hair:
        colour, cover = _hair(sphere, look)
        colour, coverage = colour * shade, coverage * cover
    else:
        patch = cv2.merge([cv2.convertScaleAbs(p) for p in _face_skin(sphere, look) * shade])
        _draw_face(patch, centre[:2] - (columns.start, rows.start), matrix, look)
        colour = np.moveaxis(patch, 2, 0)
    canvas.paint(rows, columns, colour, coverage, np.float32(centre[2]) + z, owner)


def _face_skin(sphere: np.ndarray, look: Look) -> np.ndarray:
    """Colours (3, h, w) of the skin, with the shadow of a beard on the jaw."""
    beard = 12 * np.minimum(-0.32 - sphere[1], sphere[2] + 0.1)
    return mix(look.skin, look.hair, np.float32(look.beard) * unit(beard))


def _hair(sphere: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Colours (3, h, w) and coverage (h, w) of hair above the hairline and behind the ears."""
    side, up, front = sphere
    nape, back = (-0.35, 0.02) if look.hair_style == SHORT else (-0.95, 0.40)
    cap = up - 0.52 + look.fringe * (1 + side)
    behind = np.minimum(back * (1 - 0.5 * np.maximum(up, 0)) - front, up - nape)
    if look.hair_style in (BOB, LONG):
        behind = np.minimum(behind, np.maximum(np.abs(side) - 0.62, 0.3 - front))
    strands = 1 + np.float32(0.10) * np.sin(14 * side + 9 * front)
    return look.hair * strands, unit(0.5 + 9 * np.maximum(cap, behind))


def _features(look: Look) -> list[tuple[tuple[float, float, float, float], np.ndarray]]:
    """The ellipses of a face in drawing order: (left, up, half width, half height) and colour."""
    spots = []
    for x in (0.37, -0.37):
        if look.glasses:
            spots.append(((x, 0.10, 0.29, 0.24), _GLASSES))
            spots.append(((x, 0.10, 0.23, 0.18), look.skin * 0.95))
        spots.append(((x, 0.10, 0.19, 0.105), _EYEBALL))
        spots.append(((x, 0.10, 0.095, 0.105), look.iris))
        spots.append(((x, 0.32, 0.22, 0.05), look.hair * 0.6))
        spots.append(((0.35 * x, -0.22, 0.09, 0.07), look.skin * 0.5))
    spots.append(((0, -0.47, 0.30, 0.075 + look.mouth_open), look.skin * _LIPS))
    if look.mouth_open > 0.03:
        spots.append(((0, -0.47, 0.22, look.mouth_open), _THROAT))
    return spots


def _draw_face(patch: np.ndarray, centre_xy: np.ndarray, matrix: np.ndarray, look: Look) -> None:
    """Draws the features of the face that face the camera onto a patch (h, w, 3) uint8 in place."""
    places, colours = zip(*_features(look), strict=True)
    places = np.array(places)[:, None]
    points = places[..., :2] + places[..., 2:] * _CIRCLE
    forward = np.sqrt(np.maximum(1 - (points**2).sum(axis=-1, keepdims=True), 0.05))
    sphere = np.concatenate([points, forward], axis=-1)
    outlines = np.round((centre_xy + sphere @ matrix[:2].T) * 2**_SHIFT).astype(np.int32)
    towards_camera = -(sphere.mean(axis=1) @ np.linalg.inv(matrix))[:, 2] * np.linalg.norm(matrix)
    for outline, colour, towards in zip(outlines, colours, towards_camera, strict=True):
        if towards > 0.05:
            cv2.fillConvexPoly(patch, outline, colour.ravel().tolist(), cv2.LINE_AA, _SHIFT)
