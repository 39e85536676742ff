"""Demo scenes: people drawn in three dimensions, with exact keypoints, visibility, boxes and faces.

Every label is read from the geometry that was drawn and from the depth and owner of every pixel.
"""

from dataclasses import dataclass

import numpy as np

from kptkit.data import demo_head
from kptkit.data.demo_backdrop import (
    Camera,
    draw_backdrop,
    draw_distractors,
    draw_occluder,
    photograph,
    sample_camera,
)
from kptkit.data.demo_canvas import Canvas
from kptkit.data.demo_look import sample_look
from kptkit.data.demo_person import PARTS, Person, draw_person, visible_keypoints
from kptkit.data.demo_pose import Pose, sample_pose

SIZES_WH = ((320, 240), (400, 300), (360, 360), (300, 400), (480, 320))

# People stand at depths so far apart (pixels) that they never reach into each other.
_LAYER = 4000.0

# A person of whom less than this share can be seen is left without keypoints, as in COCO.
_LEAST_SEEN = 0.2


@dataclass(frozen=True)
class Face:
    """A face seen from the front or obliquely.

    Attributes:
        box_xywh: around the face from the hairline to the chin, image pixels.
        landmarks_xy: (5, 2) image pixels; as seen in the image: left eye, right eye, nose, left
            and right corner of the mouth.
        hidden: share of the landmarks that something stands in front of or that are outside.
        oblique: turned by more than about 35 degrees.
    """

    box_xywh: tuple[float, float, float, float]
    landmarks_xy: np.ndarray
    hidden: float
    oblique: bool


@dataclass(frozen=True)
class ScenePerson:
    """One person's labels.

    Attributes:
        keypoints: (17, 3) x, y in image pixels and COCO's visibility.
        box_xywh: the smallest box of whole pixels around what is seen of the person.
        area: number of pixels that show the person.
        face: None where the face is not seen.
    """

    keypoints: np.ndarray
    box_xywh: tuple[float, float, float, float]
    area: int
    face: Face | None


@dataclass(frozen=True)
class Scene:
    """A picture (H, W, 3) uint8 RGB, its people, and how it was taken."""

    image: np.ndarray
    people: tuple[ScenePerson, ...]
    camera: Camera


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draws one to five people somewhere, with exact labels."""
    size_wh = SIZES_WH[rng.integers(len(SIZES_WH))]
    light = np.array([rng.normal(0, 0.5), rng.normal(-0.5, 0.3), -1.0])
    canvas = Canvas(
        draw_backdrop(rng, size_wh), light / np.linalg.norm(light), rng.uniform(0.35, 0.75)
    )
    draw_distractors(rng, canvas)
    people = _place_people(rng, size_wh)
    for person in people:
        draw_person(canvas, person)
        if rng.random() < 0.16:
            draw_occluder(rng, canvas, person.place[2] - _LAYER / 2)
    camera = sample_camera(rng)
    image = photograph(canvas.colour, camera, rng)
    labels = (_labels(canvas, person) for person in people)
    return Scene(image, tuple(label for label in labels if label is not None), camera)


def _place_people(rng: np.random.Generator, size_wh: tuple[int, int]) -> list[Person]:
    """People from the farthest (smallest) to the nearest, seldom much in each other's way."""
    height = size_wh[1]
    count = int(rng.choice([1, 2, 3, 4, 5], p=[0.34, 0.30, 0.19, 0.11, 0.06]))
    tallest = min(300, (1.05 if count < 3 else 0.8) * height)
    scales = np.exp(rng.uniform(np.log(75), np.log(tallest), count))
    if rng.random() < 0.08:
        scales[0] = rng.uniform(1.2, 2.2) * height
    people, boxes = [], []
    for number, scale in enumerate(np.sort(scales)):
        pose, look = sample_pose(rng), sample_look(rng)
        tries = [_stand(rng, pose, scale, size_wh) for _ in range(6)]
        crowding = [max([_overlap(box, b) for b in boxes], default=0) for _, box in tries]
        best = next((i for i, c in enumerate(crowding) if c < 0.2), int(np.argmin(crowding)))
        place, box = tries[best]
        boxes.append(box)
        z = _LAYER * (count - number)
        people.append(Person(number, pose, look, float(scale), np.array([*place, z])))
    return people


def _stand(
    rng: np.random.Generator, pose: Pose, scale: float, size_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the hips go (2,), and the box x1 y1 x2 y2 around the pose there."""
    points = scale * np.stack(list(pose.points.values()))[:, :2]
    low, high = points.min(axis=0) - 0.07 * scale, points.max(axis=0) + 0.05 * scale
    room = np.maximum(np.array(size_wh) - (high - low), 0.1 * np.array(size_wh))
    slack = 0.22 * (high - low) if rng.random() < 0.2 else 0.0
    corner = (np.array(size_wh) - (high - low) - room) / 2 - slack
    corner = corner + rng.random(2) * (room + 2 * slack)
    return corner - low, np.concatenate([corner, corner + high - low])


def _overlap(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> float:
    """Shared area relative to the smaller box."""
    sides = np.minimum(a_xyxy[2:], b_xyxy[2:]) - np.maximum(a_xyxy[:2], b_xyxy[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (a_xyxy, b_xyxy)]
    return float(np.prod(np.maximum(sides, 0)) / min(areas))


def _labels(canvas: Canvas, person: Person) -> ScenePerson | None:
    mask = canvas.owner // len(PARTS) == person.number
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return None
    left, top = float(columns[0]), float(rows[0])
    box = (left, top, float(columns[-1] + 1 - left), float(rows[-1] + 1 - top))
    area = int(np.count_nonzero(mask))
    keypoints = visible_keypoints(canvas, person)
    if area < _LEAST_SEEN * 0.1 * person.scale**2:
        keypoints[:] = 0
    return ScenePerson(keypoints, box, area, _face(canvas, person))


def _face(canvas: Canvas, person: Person) -> Face | None:
    head, matrix = person.at("head"), person.skull_matrix()
    towards_camera = -person.pose.skull[2, 2]
    if towards_camera < 0.35:
        return None
    places = [demo_head.EYES["right"], demo_head.EYES["left"], demo_head.NOSE_TIP]
    places += [demo_head.MOUTH_CORNERS["right"], demo_head.MOUTH_CORNERS["left"]]
    landmarks = head + np.stack(places) @ matrix.T
    height, width = canvas.depth.shape
    shown = 0
    for x, y, z in landmarks:
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        inside = 0 <= column < width and 0 <= row < height
        shown += inside and z - canvas.depth[row, column] <= 0.08 * person.scale
    if shown < 3:
        return None
    rim = (head + demo_head.FACE_RIM @ matrix.T)[:, :2]
    low, high = rim.min(axis=0), rim.max(axis=0)
    box = (*low.tolist(), *(high - low).tolist())
    return Face(box, landmarks[:, :2], 1 - shown / 5, bool(towards_camera < 0.82))
