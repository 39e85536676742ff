"""Draws a demo person: limbs, clothes and head; and determines which keypoints are visible."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from kptkit.demo.canvas import Canvas, Paint
from kptkit.demo.head import COCO_POINTS, depth_in_skull, draw_head
from kptkit.demo.look import Look, in_shadow, plain, shoe, sleeve
from kptkit.demo.pose import FOREARM, SHIN, SIDES, THIGH, UPPER_ARM, Pose
from kptkit.demo.trunk import draw_trunk
from kptkit.skeletons.known import COCO_17

_LIMBS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
PARTS = (
    *("trunk", "head", "hair", "pack"),
    *(f"{side}_{limb}" for side, _ in SIDES for limb in _LIMBS),
)

_INDEX = {part: index for index, part in enumerate(PARTS)}

# The parts (of the keypoint's own side, if they have one) on which a keypoint is visible, and the
# largest depth, in statures, of the keypoint behind their surface: joints are inside limbs, facial
# keypoints on the skin.
_JOINTS = {
    "nose": (("head",), 0.03),
    "eye": (("head",), 0.02),
    "ear": (("head",), 0.035),
    "shoulder": (("trunk", "upper_arm"), 0.085),
    "elbow": (("upper_arm", "forearm"), 0.06),
    "wrist": (("forearm", "hand"), 0.05),
    "hip": (("trunk", "thigh"), 0.12),
    "knee": (("thigh", "shin"), 0.085),
    "ankle": (("shin", "foot"), 0.07),
}
_SIDED = [name.rpartition("_") for name in COCO_17.names]
_MAX_DEPTH = np.array([_JOINTS[joint][1] for _, _, joint in _SIDED])
# (17, parts + 1) bool; the last column is for everything that is not this person.
_SHOWN_BY = np.zeros((len(_SIDED), len(PARTS) + 1), bool)
for _row, (_side, _, _joint) in enumerate(_SIDED):
    for _part in _JOINTS[_joint][0]:
        _SHOWN_BY[_row, _INDEX.get(_part, _INDEX.get(f"{_side}_{_part}"))] = True


@dataclass(frozen=True)
class Person:
    """A person in the scene.

    Attributes:
        number: index of the person in the scene.
        scale: pixels per stature.
        place: (3,) position of the hips: x, y in image pixels and z.
    """

    number: int
    pose: Pose
    look: Look
    scale: float
    place: np.ndarray

    def at(self, name: str) -> np.ndarray:
        """(3,) x, y in image pixels and z of the pose's point `name`."""
        return self.place + self.scale * self.pose.points[name]

    def owner(self, part: str) -> int:
        """The number that identifies the person's part on the canvas."""
        return self.number * len(PARTS) + _INDEX[part]

    def skull_matrix(self) -> np.ndarray:
        """(3, 3) matrix from the skull's unit sphere to pixels."""
        return self.scale * self.pose.skull * self.pose.skull_radii

    def keypoints_xyz(self) -> np.ndarray:
        """(17, 3) x, y in image pixels and z of COCO's keypoints, also of those out of sight."""
        on_skull = self.at("head") + COCO_POINTS @ self.skull_matrix().T
        names = COCO_17.names[len(on_skull) :]
        limbs = np.stack([self.pose.points[name] for name in names])
        return np.concatenate([on_skull, self.place + self.scale * limbs])


def draw_person(canvas: Canvas, person: Person) -> None:
    """Draws the parts of a person, farthest first."""
    hips, neck, head = person.at("hips"), person.at("neck"), person.at("head")
    scale, pose, look = person.scale, person.pose, person.look
    trunk = partial(draw_trunk, canvas, hips, neck, scale, pose, look, person.owner("trunk"))
    owners = person.owner("head"), person.owner("hair")
    skull = partial(draw_head, canvas, head, person.skull_matrix(), look, owners)
    steps = [(neck[2], trunk), (head[2], skull)]
    for limb in [*_arms_and_legs(person), *_neck_hips_and_pack(person)]:
        steps.append(((limb.start[2] + limb.end[2]) / 2, partial(canvas.limb, *limb)))
    for _, draw in sorted(steps, key=lambda step: -step[0]):
        draw()


def visible_keypoints(canvas: Canvas, person: Person) -> np.ndarray:
    """(17, 3) x, y in image pixels and COCO's visibility: 2 visible, 1 hidden, 0 unlabelled.

    A keypoint is visible if its pixel on the finished canvas shows one of its own parts, and the
    keypoint is not deeper behind that surface than a joint lies inside a limb. Unlabelled (x = y =
    0) are keypoints outside the image and, as in COCO, those on the far side of the head, such as
    the nose seen from behind.
    """
    x, y, z = person.keypoints_xyz().T
    rows, columns, inside = canvas.pixels(x, y)
    part = canvas.owner[rows, columns] - person.number * len(PARTS)
    part = np.where((part >= 0) & (part < len(PARTS)), part, len(PARTS))
    near = z - canvas.depth[rows, columns] <= _MAX_DEPTH * person.scale
    seen = near & _SHOWN_BY[np.arange(len(part)), part]
    labelled = inside.copy()
    behind_skull = depth_in_skull(COCO_POINTS, person.skull_matrix())
    labelled[: len(behind_skull)] &= behind_skull <= _MAX_DEPTH[: len(behind_skull)] * person.scale
    return np.stack([x, y, 1 + seen], axis=1) * labelled[:, None]


class _Limb(NamedTuple):
    """The arguments of `Canvas.limb`."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float, float]
    paint: Paint
    owner: int


def _limb(
    person: Person,
    part: str,
    start: np.ndarray,
    end: np.ndarray,
    radii: tuple[float, float, float],
    paint: Paint,
) -> _Limb:
    """A limb whose radii are given in statures, for a person of average girth."""
    size = person.scale * person.pose.girth
    first, bulge, last = radii
    scaled = (size * first, size * bulge, size * last)
    return _Limb(start, end, scaled, paint, person.owner(part))


def _arms_and_legs(person: Person) -> Iterator[_Limb]:
    look, points = person.look, person.pose.points
    cloth, skin = look.shirt, look.skin
    upper_arm = sleeve(cloth, skin, look.upper_arm_cover, UPPER_ARM, 1)
    forearm = sleeve(cloth, skin, look.forearm_cover, FOREARM, 0)
    for side, other in (("left", "right"), ("right", "left")):
        # Kneecaps are brighter than the leg, the backs of knees darker.
        shows_kneecap = points[f"{side}_kneecap"][2] < points[f"{side}_knee"][2]
        light = 0.3 if shows_kneecap else -0.45
        thigh = sleeve(look.trousers, skin, look.thigh_cover, THIGH, 1, light)
        shin = sleeve(look.trousers, skin, look.shin_cover, SHIN, 0, light)
        for part, start, end, radii, paint in (
            ("upper_arm", "shoulder", "elbow", (0.037, 0.002, 0.027), upper_arm),
            ("forearm", "elbow", "wrist", (0.027, 0.005, 0.018), forearm),
            ("hand", "wrist", "hand", (0.018, 0.010, 0.014), plain(skin)),
            ("thigh", "hip", "knee", (0.060, 0.002, 0.038), thigh),
            ("shin", "knee", "ankle", (0.037, 0.008, 0.024), shin),
            ("foot", "heel", "toe", (0.028, 0.002, 0.022), shoe(look.shoes, look.soles)),
        ):
            # The farther limb of a pair is in the body's shadow.
            deeper = (
                sum(points[f"{side}_{n}"] - points[f"{other}_{n}"] for n in (start, end))[2] / 2
            )
            shadowed = in_shadow(paint, 0.4 * min(max(deeper / 0.15, 0), 1))
            ends = person.at(f"{side}_{start}"), person.at(f"{side}_{end}")
            yield _limb(person, f"{side}_{part}", *ends, radii, shadowed)


def _neck_hips_and_pack(person: Person) -> Iterator[_Limb]:
    look, neck = person.look, person.at("neck")
    up, forward = person.scale * person.pose.trunk[:, 1], person.scale * person.pose.trunk[:, 2]
    throat = plain(look.skin * np.float32(0.9))
    yield _limb(person, "trunk", neck - 0.02 * up, person.at("head"), (0.036, 0, 0.034), throat)
    hips = person.at("left_hip"), person.at("right_hip")
    seat = sleeve(look.trousers, look.skin, cover=2, length=0.14, joint_t=2)
    yield _limb(person, "trunk", *hips, (0.058, 0, 0.058), seat)
    if look.backpack:
        high = neck - 0.10 * forward - 0.06 * up
        pack = plain(look.chest_colour * np.float32(0.8))
        yield _limb(person, "pack", high, high - 0.15 * up, (0.075, 0.01, 0.085), pack)
