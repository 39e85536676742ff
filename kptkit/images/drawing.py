"""Draws keypoints, boxes and heatmaps on pictures, for run folders, TensorBoard and papers.

Every function takes RGB pictures (H, W, 3) uint8, does not change them and returns a new one.
Coordinates are pixels of the given picture; the centre of its top-left pixel is (0, 0). A point
that is not finite, or too far outside the picture to be drawn, is left out.

Left and right are the person's own, by the schema's flip pairs: left is sky blue, right is orange,
keypoints without a side are white. People with any common kind of colour blindness can tell the two
hues apart (Okabe and Ito 2008), and a dark outline separates them from the background.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from kptkit.errors import InputError
from kptkit.geometry import affine
from kptkit.skeletons.schema import KeypointSchema

LEFT = (40, 180, 255)
RIGHT = (255, 140, 0)
MIDDLE = (255, 255, 255)
BOX = (255, 230, 60)
# Eye, eye, nose, mouth corner, mouth corner; the image's left, which is the person's right, first.
LANDMARKS = (RIGHT, LEFT, MIDDLE, RIGHT, LEFT)
OUTLINE = (20, 20, 20)
PAPER = (255, 255, 255)
INK = (50, 50, 50)
LABEL_H = 22

# cv2 draws at fixed-point coordinates with this many fractional bits.
_SHIFT = 4
# Beyond this distance in pixels cv2's integers would overflow.
_REACH = 1e5


def keypoint_colours(schema: KeypointSchema) -> list[tuple[int, int, int]]:
    """The colour of each of the K keypoints: `LEFT`, `RIGHT` or `MIDDLE`."""
    colours = [MIDDLE] * schema.num_keypoints
    for left, right in schema.flip_pairs:
        colours[left], colours[right] = LEFT, RIGHT
    return colours


def draw_skeleton(
    image: np.ndarray, keypoints: np.ndarray, schema: KeypointSchema, threshold: float = 0.2
) -> np.ndarray:
    """Draws persons as bones and joints; the larger a person, the thicker the lines.

    A bone has the colour of its side, or `MIDDLE` where its ends have two sides or none.

    Args:
        image: (H, W, 3) uint8.
        keypoints: (N, K, 3): x, y in image pixels and a score, a weight or COCO's visibility.
        threshold: keypoints whose third value is lower are not drawn.

    Raises:
        InputError: `image` is not a picture, or `keypoints` do not have the shape (N, K, 3).
    """
    canvas = _canvas(image)
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.ndim != 3 or keypoints.shape[1:] != (schema.num_keypoints, 3):
        raise InputError(
            f"keypoints: shape {keypoints.shape}; expected (persons, {schema.num_keypoints}, 3)"
        )
    for person in keypoints:
        drawn = _drawable(person[:, :2]) & (person[:, 2] >= threshold)
        _draw_person(canvas, person[:, :2], drawn, schema)
    return canvas


def draw_boxes(
    image: np.ndarray, boxes_xyxy: np.ndarray, captions: Sequence[str] = ()
) -> np.ndarray:
    """Draws boxes with captions.

    Args:
        image: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) in image pixels.
        captions: one for each box, or none at all. A box whose width is below one and a half text
            heights is drawn without its caption, which would cover its neighbours.
    """
    canvas = _canvas(image)
    boxes_xyxy = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    widest = max(2, round(0.003 * np.hypot(*canvas.shape[:2])))
    label_h = max(LABEL_H, round(0.03 * canvas.shape[0]))
    for index, box in enumerate(boxes_xyxy):
        if not _drawable(box.reshape(2, 2)).all():
            continue
        low, high = _fixed(box[:2]), _fixed(box[2:])
        width = int(np.clip(0.04 * (box[2] - box[0]), 1, widest))
        for colour, thickness in ((OUTLINE, 2 * width), (BOX, width)):
            cv2.rectangle(canvas, low, high, colour, thickness, cv2.LINE_AA, _SHIFT)
        if index < len(captions) and box[2] - box[0] > 1.5 * label_h:
            label = _label(captions[index], BOX, widest_wh=(canvas.shape[1], label_h))
            _paste(canvas, label, (box[0], box[1] - label_h))
    return canvas


def draw_faces(
    image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Draws faces as boxes with their scores and five landmarks.

    Args:
        image: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) in image pixels.
        scores: (N,).
        landmarks: (N, 5, 2) in image pixels: eye, eye, nose, mouth corner, mouth corner; the one
            at the image's left first.
    """
    boxes_xyxy = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    canvas = draw_boxes(image, boxes_xyxy, [f"{score:.2f}" for score in scores])
    for box, points_xy in zip(boxes_xyxy, landmarks, strict=True):
        radius = max(1.0, 0.025 * np.hypot(*(box[2:] - box[:2])))
        rim = max(1.0, 0.2 * radius)
        for landmark in np.flatnonzero(_drawable(points_xy)):
            _draw_dot(canvas, points_xy[landmark], radius, rim, LANDMARKS[landmark])
    return canvas


def draw_heatmaps(crop: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Draws the maximum over all heatmaps in colour on a grey copy of the crop.

    Colours are scaled to the highest value present, so that an untrained network shows something
    too; negative and non-finite values count as zero.

    Args:
        crop: (H, W, 3) uint8.
        heatmaps: (h, w, K), aligned with the crop by `affine.crop_to_heatmap`.
    """
    canvas = _canvas(crop)
    height, width = canvas.shape[:2]
    heatmaps = np.asarray(heatmaps, dtype=np.float32)
    highest = np.nan_to_num(heatmaps, nan=0.0, posinf=0.0, neginf=0.0).max(axis=-1, initial=0.0)
    highest /= max(float(highest.max(initial=0.0)), np.finfo(np.float32).tiny)
    (scale_x, scale_y), _ = affine.crop_to_heatmap((width, height), highest.shape[::-1])
    heatmap_to_crop = np.array([[1 / scale_x, 0, 0], [0, 1 / scale_y, 0]])
    glow = affine.warp(highest, heatmap_to_crop, (width, height))
    colours = cv2.applyColorMap((255 * glow).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    opacity = np.sqrt(glow)[..., None]
    return (0.5 * grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int,
    cell_wh: tuple[int, int],
    captions: Sequence[str] = (),
) -> np.ndarray:
    """Arranges pictures in rows on white, each scaled to fit its cell, with its caption below.

    Args:
        images: pictures (H, W, 3) uint8 of any sizes.
        columns: cells in a row; fewer pictures make a narrower sheet.
        cell_wh: width and height of a cell in pixels, without caption and margins.
        captions: one for each picture, or none at all.
    """
    margin = 8
    cell_w, cell_h = cell_wh
    text_h = LABEL_H if captions else 0
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    step_x, step_y = cell_w + margin, cell_h + text_h + margin
    sheet = np.full((margin + rows * step_y, margin + columns * step_x, 3), PAPER, np.uint8)
    for index, image in enumerate(images):
        left = margin + (index % columns) * step_x
        top = margin + (index // columns) * step_y
        picture = _fit(_canvas(image), cell_wh)
        height, width = picture.shape[:2]
        _paste(sheet, picture, (left + (cell_w - width) // 2, top + (cell_h - height) // 2))
        if captions:
            label = _label(captions[index], PAPER, widest_wh=(cell_w, LABEL_H))
            _paste(sheet, label, (left + (cell_w - label.shape[1]) // 2, top + cell_h))
    return sheet


def training_sheet(
    crops: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    heatmaps: np.ndarray,
    schema: KeypointSchema,
) -> np.ndarray:
    """Each sample as three pictures, truth, prediction and heatmaps; two samples in a row.

    Args:
        crops: (N, H, W, 3) uint8.
        truth: (N, K, 3): x, y in crop pixels and a weight or visibility.
        prediction: (N, K, 3): x, y in crop pixels and a score.
        heatmaps: (N, h, w, K).
    """
    pictures = []
    for crop, true, predicted, maps in zip(crops, truth, prediction, heatmaps, strict=True):
        pictures.append(draw_skeleton(crop, true[None], schema))
        pictures.append(draw_skeleton(crop, predicted[None], schema))
        pictures.append(draw_heatmaps(crop, maps))
    cell_wh = (crops.shape[2], crops.shape[1])
    captions = ["truth", "prediction", "heatmap"] * len(crops)
    return contact_sheet(pictures, columns=6, cell_wh=cell_wh, captions=captions)


def _canvas(image: np.ndarray) -> np.ndarray:
    """A contiguous copy to draw on."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise InputError(
            f"image: shape {image.shape} of {image.dtype}; expected (height, width, 3) of uint8"
        )
    return np.array(image, order="C")


def _drawable(points_xy: np.ndarray) -> np.ndarray:
    """Whether cv2 can draw each of the points (N, 2): (N,) bool."""
    return np.all(np.abs(points_xy) < _REACH, axis=-1)


def _fixed(point_xy: np.ndarray) -> tuple[int, int]:
    """A point in cv2's fixed-point integers."""
    x, y = np.rint(point_xy * 2**_SHIFT).astype(int).tolist()
    return x, y


def _draw_person(
    canvas: np.ndarray, points_xy: np.ndarray, drawn: np.ndarray, schema: KeypointSchema
) -> None:
    """Draws outlines first, so that no outline crosses another bone, then bones, then joints."""
    if not drawn.any():
        return
    colours = keypoint_colours(schema)
    person, picture = np.ptp(points_xy[drawn], axis=0), canvas.shape[:2]
    width = max(2, round(0.012 * min(np.hypot(*person), np.hypot(*picture))))
    rim = max(1, round(0.15 * width))
    for outline in (rim, 0):
        for a, b in schema.edges:
            if drawn[a] and drawn[b]:
                colour = OUTLINE if outline else _bone_colour(colours[a], colours[b])
                ends = _fixed(points_xy[a]), _fixed(points_xy[b])
                cv2.line(canvas, *ends, colour, width + 2 * outline, cv2.LINE_AA, _SHIFT)
    for joint in np.flatnonzero(drawn):
        _draw_dot(canvas, points_xy[joint], 0.8 * width + 1, rim, colours[joint])


def _draw_dot(
    canvas: np.ndarray,
    point_xy: np.ndarray,
    radius: float,
    rim: float,
    colour: tuple[int, int, int],
) -> None:
    """A disc of `radius` pixels with an outline of `rim` pixels around it."""
    for reach, paint in ((radius + rim, OUTLINE), (radius, colour)):
        fixed = round(reach * 2**_SHIFT)
        cv2.circle(canvas, _fixed(point_xy), fixed, paint, -1, cv2.LINE_AA, _SHIFT)


def _bone_colour(start: tuple[int, int, int], end: tuple[int, int, int]) -> tuple[int, int, int]:
    """The colour of the bone's side, or `MIDDLE` where its ends have two sides or none."""
    sides = {start, end} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def _fit(image: np.ndarray, cell_wh: tuple[int, int]) -> np.ndarray:
    """The picture scaled to the largest size that fits a cell, with its aspect ratio kept."""
    height, width = image.shape[:2]
    scale = min(cell_wh[0] / width, cell_wh[1] / height)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if size_wh == (width, height):
        return image
    return cv2.resize(
        image, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )


def _label(text: str, background: tuple[int, int, int], widest_wh: tuple[int, int]) -> np.ndarray:
    """A picture of one line of text, as high as `widest_wh` says and cut off at its width."""
    # cv2 kills the process at a lone surrogate, as in a file name that is not UTF-8.
    text = text.encode("utf-8", "replace").decode()
    widest, height = widest_wh
    font, size, margin = cv2.FontFace("sans"), round(0.64 * height), round(0.14 * height)
    text_w = cv2.getTextSize((0, 0), text, (0, 0), font, size, 500)[2]
    label = np.full((height, min(text_w + 2 * margin, widest), 3), background, np.uint8)
    cv2.putText(label, text, (margin, height - 2 * margin), INK, font, size, 500)
    return label


def _paste(canvas: np.ndarray, picture: np.ndarray, corner_xy: Sequence[float]) -> None:
    """Copies a picture onto the canvas, top-left corner at `corner_xy` or as near as it fits."""
    room = np.maximum(0, np.subtract(canvas.shape, picture.shape))
    x, y = np.clip(np.rint(corner_xy), 0, (room[1], room[0])).astype(int)
    patch = canvas[y : y + picture.shape[0], x : x + picture.shape[1]]
    patch[:] = picture[: patch.shape[0], : patch.shape[1]]
