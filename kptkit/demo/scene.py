"""Demo scenes: people drawn from 3D bodies, with exact keypoints, visibility, boxes and faces.

All labels are computed from the drawn geometry and from the depth and owner of every pixel.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kptkit.demo.backdrop import (
    Camera,
    draw_backdrop,
    draw_distractors,
    draw_occluder,
    photograph,
    sample_camera,
)
from kptkit.demo.canvas import Canvas
from kptkit.demo.head import FACE_LANDMARKS, FACE_RIM
from kptkit.demo.look import sample_look
from kptkit.demo.person import PARTS, Person, draw_person, visible_keypoints
from kptkit.demo.pose import Pose, sample_pose
from kptkit.demo.random import pick

SIZES_WH = ((320, 240), (400, 300), (360, 360), (300, 400), (480, 320))

# Distance in depth between people, in pixels, large enough that bodies never intersect.
_LAYER = 4000.0

# People with a smaller visible area get no keypoints, as barely visible people in COCO. In squared
# statures; an unoccluded person has about 0.18.
_MIN_AREA = 0.03


@dataclass(frozen=True)
class Face:
    """A face seen from the front or obliquely.

    Attributes:
        box_xywh: the face from the hairline to the chin, in image pixels, cut to the image.
        landmarks_xy: (5, 2) image pixels: eye, eye, nose, mouth corner, mouth corner, image left
            first.
        hidden: share of the landmarks that are occluded or outside the image.
        oblique: turned by more than about 35 degrees.
    """

    box_xywh: tuple[float, float, float, float]
    landmarks_xy: np.ndarray
    hidden: float
    oblique: bool


@dataclass(frozen=True)
class ScenePerson:
    """The labels of a person.

    Attributes:
        keypoints: (17, 3) x, y in image pixels and COCO's visibility.
        box_xywh: the smallest box of whole pixels around the visible part of the person.
        area: number of visible pixels of the person.
        face: None if the face is not visible.
    """

    keypoints: np.ndarray
    box_xywh: tuple[float, float, float, float]
    area: int
    face: Face | None


@dataclass(frozen=True)
class Scene:
    """An image (H, W, 3) uint8 RGB, the people in it, and its camera."""

    image: np.ndarray
    people: tuple[ScenePerson, ...]
    camera: Camera


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draws a scene of one to five people, with exact labels."""
    size_wh = SIZES_WH[rng.integers(len(SIZES_WH))]
    light = np.array([rng.normal(0, 0.5), rng.normal(-0.5, 0.3), -1.0])
    canvas = Canvas(
        draw_backdrop(rng, size_wh), light / np.linalg.norm(light), rng.uniform(0.3, 0.6)
    )
    draw_distractors(rng, canvas)
    people = _place_people(rng, size_wh)
    for person in people:
        draw_person(canvas, person)
        if rng.random() < 0.10:
            draw_occluder(rng, canvas, person.place[2] - _LAYER / 2)
    camera = sample_camera(rng)
    image = photograph(canvas.colour, camera, rng)
    labels = (_labels(canvas, person) for person in people)
    return Scene(image, tuple(label for label in labels if label is not None), camera)


def _place_people(rng: np.random.Generator, size_wh: tuple[int, int]) -> list[Person]:
    """Samples people, farthest (smallest) first, placed so that they rarely overlap much."""
    height = size_wh[1]
    count = 1 + pick(rng, (0.38, 0.31, 0.18, 0.09, 0.04))
    tallest = min(300, (1.05 if count < 3 else 0.8) * height)
    scales = np.exp(rng.uniform(np.log(85), np.log(tallest), count))
    if count < 3 and rng.random() < 0.05:
        scales[0] = rng.uniform(1.2, 2.2) * height
    people: list[Person] = []
    boxes: list[np.ndarray] = []
    for number, scale in enumerate(np.sort(scales)):
        pose, look = sample_pose(rng), sample_look(rng)
        tries: list[tuple[float, np.ndarray, np.ndarray]] = []
        while len(tries) < 8 and (not tries or tries[-1][0] > 0.15):
            place, box = _place(rng, pose, scale, size_wh)
            tries.append((max([_overlap(box, b) for b in boxes], default=0), place, box))
        _, place, box = min(tries, key=lambda attempt: attempt[0])
        boxes.append(box)
        z = _LAYER * (count - number)
        people.append(Person(number, pose, look, float(scale), np.array([*place, z])))
    return people


def _place(
    rng: np.random.Generator, pose: Pose, scale: float, size_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A random position (2,) of the hips in image pixels, and the pose's box (4,) x1 y1 x2 y2."""
    points = scale * np.stack(list(pose.points.values()))[:, :2]
    low, high = points.min(axis=0) - 0.07 * scale, points.max(axis=0) + 0.05 * scale
    room = np.array(size_wh) - (high - low)
    corner = rng.random(2) * room
    if room[1] < 0:
        corner[1] *= 0.35  # too tall for the image: show the head rather than the feet
    if rng.random() < 0.12:
        corner += rng.uniform(-0.22, 0.22, 2) * (high - low)
    return corner - low, np.concatenate([corner, corner + high - low])


def _overlap(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> float:
    """The area of the intersection relative to that of the smaller box."""
    sides = np.minimum(a_xyxy[2:], b_xyxy[2:]) - np.maximum(a_xyxy[:2], b_xyxy[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (a_xyxy, b_xyxy)]
    return float(np.prod(np.maximum(sides, 0)) / min(areas))


def _labels(canvas: Canvas, person: Person) -> ScenePerson | None:
    """The labels of a person on the finished canvas; None if no pixel shows the person."""
    first = person.number * len(PARTS)
    mask = (canvas.owner >= first) & (canvas.owner < first + len(PARTS))
    area = int(np.count_nonzero(mask))
    if area == 0:
        return None
    x, y, width, height = map(float, cv2.boundingRect(mask.view(np.uint8)))
    keypoints = visible_keypoints(canvas, person)
    if area < _MIN_AREA * person.scale**2:
        keypoints[:] = 0
    return ScenePerson(keypoints, (x, y, width, height), area, _face(canvas, person))


def _face(canvas: Canvas, person: Person) -> Face | None:
    """The face, if it is turned to the camera and at least three landmarks are visible."""
    head, matrix = person.at("head"), person.skull_matrix()
    towards_camera = -person.pose.skull[2, 2]
    if towards_camera < 0.35:
        return None
    x, y, z = (head + FACE_LANDMARKS @ matrix.T).T
    rows, columns, inside = canvas.pixels(x, y)
    is_head = canvas.owner[rows, columns] == person.owner("head")
    seen = inside & is_head & (z - canvas.depth[rows, columns] <= 0.05 * person.scale)
    if seen.sum() < 3:
        return None
    rim = (head + FACE_RIM @ matrix.T)[:, :2]
    size_wh = canvas.depth.shape[::-1]
    low, high = (np.clip(corner, 0, size_wh) for corner in (rim.min(axis=0), rim.max(axis=0)))
    box = (*low.tolist(), *(high - low).tolist())
    oblique = bool(towards_camera < 0.82)
    return Face(box, np.stack([x, y], axis=1), float(1 - seen.mean()), oblique)
