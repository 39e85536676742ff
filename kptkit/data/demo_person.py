"""One demo person on the canvas: limbs, clothes and head, and which keypoints are seen."""

from dataclasses import dataclass

import numpy as np

from kptkit.data import demo_head
from kptkit.data.demo_canvas import Canvas, unit
from kptkit.data.demo_look import (
    BARE_CHEST,
    BUTTONS,
    JACKET,
    PRINT,
    TIE,
    Look,
    mix,
    plain,
    sleeve,
)
from kptkit.data.demo_pose import SIDES, Pose
from kptkit.skeletons import COCO_17

_LIMBS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
PARTS = (
    *("trunk", "head", "hair", "pack"),
    *(f"{side}_{limb}" for side, _ in SIDES for limb in _LIMBS),
)

_INDEX = {part: index for index, part in enumerate(PARTS)}

# Which parts (of the keypoint's own side, where they have one) show a keypoint, and how far (in
# statures) it lies behind their surface: a joint is inside a limb, a point of the face on the skin.
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
_INSIDE = np.array([_JOINTS[joint][1] for _, _, joint in _SIDED])
# (17, parts and one more for everything else) bool.
_SHOWN_BY = np.zeros((len(_SIDED), len(PARTS) + 1), bool)
for _row, (_side, _, _joint) in enumerate(_SIDED):
    for _part in _JOINTS[_joint][0]:
        _SHOWN_BY[_row, _INDEX.get(_part, _INDEX.get(f"{_side}_{_part}"))] = True

# Heights up the trunk (0 at the hips, 1 at the neck) and the half depths there, in statures.
_TRUNK_T = (-0.16, -0.04, 0.10, 0.45, 0.80, 0.92, 0.99, 1.06)
_LEVELS = 128
_TRUNK_DEPTH = (0.045, 0.068, 0.070, 0.062, 0.074, 0.060, 0.045, 0.034)


@dataclass(frozen=True)
class Person:
    """A pose at a place of the image: `scale` pixels per stature, hips at (3,) `place`."""

    number: int
    pose: Pose
    look: Look
    scale: float
    place: np.ndarray

    def at(self, name: str) -> np.ndarray:
        """(3,) x, y in image pixels and z of a point of the pose."""
        return self.place + self.scale * self.pose.points[name]

    def owner(self, part: str) -> int:
        """The number of the person's part on the canvas."""
        return self.number * len(PARTS) + _INDEX[part]

    def skull_matrix(self) -> np.ndarray:
        """(3, 3) from the skull's unit sphere to pixels."""
        return self.scale * self.pose.skull * self.pose.skull_radii

    def keypoints_xyz(self) -> np.ndarray:
        """(17, 3) x, y in image pixels and z of COCO's keypoints, wherever they are."""
        on_skull = self.at("head") + demo_head.COCO_POINTS @ self.skull_matrix().T
        names = COCO_17.names[len(on_skull) :]
        limbs = np.stack([self.pose.points[name] for name in names])
        return np.concatenate([on_skull, self.place + self.scale * limbs])


def draw_person(canvas: Canvas, person: Person) -> None:
    """Draws the parts from the farthest to the nearest."""
    steps = [*_limbs(person), (person.at("neck")[2], lambda: _trunk(canvas, person))]
    head, matrix = person.at("head"), person.skull_matrix()
    owners = person.owner("head"), person.owner("hair")
    steps.append((head[2], lambda: demo_head.draw_head(canvas, head, matrix, person.look, owners)))
    for _, step in sorted(steps, key=lambda pair: -pair[0]):
        if callable(step):
            step()
        else:
            canvas.limb(*step)


def visible_keypoints(canvas: Canvas, person: Person) -> np.ndarray:
    """(17, 3) x, y and COCO's visibility: 2 seen, 1 hidden, 0 unlabelled (x = y = 0).

    A keypoint is seen if the pixel it falls into shows one of its own parts, no deeper than the
    joint lies inside them; read from the finished canvas. Unlabelled is what lies outside the
    image, and, as COCO's annotators leave it, the far side of a head: a nose seen from behind.
    """
    x, y, z = person.keypoints_xyz().T
    rows, columns, inside = canvas.pixels(x, y)
    part = canvas.owner[rows, columns] - person.number * len(PARTS)
    part = np.where((part >= 0) & (part < len(PARTS)), part, len(PARTS))
    near = z - canvas.depth[rows, columns] <= _INSIDE * person.scale
    seen = near & _SHOWN_BY[np.arange(len(part)), part]
    labelled = inside.copy()
    behind_skull = demo_head.depth_in_skull(demo_head.COCO_POINTS, person.skull_matrix())
    labelled[: len(behind_skull)] &= behind_skull <= _INSIDE[: len(behind_skull)] * person.scale
    return np.stack([x, y, 1 + seen], axis=1) * labelled[:, None]


def _limbs(person: Person) -> list[tuple[float, tuple]]:
    """(z, arguments of Canvas.limb) of arms, legs, neck and luggage."""
    look, pose = person.look, person.pose
    size = person.scale * pose.girth
    steps = []

    def add(part, start, end, radii, paint):
        arguments = (start, end, tuple(r * size for r in radii), paint, person.owner(part))
        steps.append(((start[2] + end[2]) / 2, arguments))

    for side, _ in SIDES:
        at = {n: person.at(f"{side}_{n}") for n in ("shoulder", "elbow", "wrist", "hand")}
        at |= {n: person.at(f"{side}_{n}") for n in ("hip", "knee", "ankle", "heel", "toe")}
        upper = sleeve(look.shirt, look.skin, look.upper_arm_cover, 0.165, 1)
        fore = sleeve(look.shirt, look.skin, look.forearm_cover, 0.14, 0)
        # Kneecaps catch the light, the backs of the knees are creased.
        turned = person.pose.points[f"{side}_knee"] - person.pose.points[f"{side}_kneecap"]
        knee_light = 0.3 if turned[2] > 0 else -0.45
        thigh = sleeve(look.trousers, look.skin, look.thigh_cover, 0.235, 1, knee_light)
        shin = sleeve(look.trousers, look.skin, look.shin_cover, 0.225, 0, knee_light)
        shoe = _shoe(look)
        add(f"{side}_upper_arm", at["shoulder"], at["elbow"], (0.037, 0.002, 0.027), upper)
        add(f"{side}_forearm", at["elbow"], at["wrist"], (0.027, 0.005, 0.018), fore)
        add(f"{side}_hand", at["wrist"], at["hand"], (0.017, 0.008, 0.012), plain(look.skin))
        add(f"{side}_thigh", at["hip"], at["knee"], (0.060, 0.002, 0.038), thigh)
        add(f"{side}_shin", at["knee"], at["ankle"], (0.037, 0.008, 0.024), shin)
        add(f"{side}_foot", at["heel"], at["toe"], (0.028, 0.002, 0.022), shoe)
    trousers = sleeve(look.trousers, look.skin, 2.0, 0.14, joint_t=2.0)
    add("trunk", person.at("left_hip"), person.at("right_hip"), (0.058, 0.0, 0.058), trousers)
    base = person.at("neck") - 0.02 * person.scale * pose.trunk[:, 1]
    add("trunk", base, person.at("head"), (0.036, 0, 0.034), plain(look.skin * np.float32(0.9)))
    if look.backpack:
        forward, up = person.scale * pose.trunk[:, 2], person.scale * pose.trunk[:, 1]
        high = person.at("neck") - 0.10 * forward - 0.06 * up
        pack = plain(look.chest_colour * np.float32(0.8))
        add("pack", high, high - 0.15 * up, (0.075, 0.01, 0.085), pack)
    return steps


def _shoe(look: Look):
    def paint(t, around):
        rim, heel = 0.8 * unit(12 * (np.abs(around) - 0.62)), unit(12 * (0.12 - t))
        return mix(look.shoes, look.soles, np.maximum(rim, heel))

    return paint


def _trunk(canvas: Canvas, person: Person) -> None:
    """The trunk: elliptical cross-sections around the line from the hips to the neck."""
    pose, scale = person.pose, person.scale
    hips, neck = person.at("hips").tolist(), person.at("neck").tolist()
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
    # The normal of the axis in the image, and how much of the body's axes lies along it.
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
    colour = _clothes(person.look, t, side, front) * shade
    depth = hips[2] + t * az - bulge * cosine
    canvas.paint(rows, columns, colour, coverage, depth, person.owner("trunk"))


def _trunk_profile(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Half widths and half depths in statures, at _LEVELS heights from _TRUNK_T's first to last."""
    hip, shoulder = pose.hip_width + 0.045, pose.shoulder_width
    widths = [0.5 * hip, hip, hip, 0.72 * shoulder, 0.98 * shoulder, 0.9 * shoulder]
    widths += [0.55 * shoulder, 0.035]
    heights = np.linspace(_TRUNK_T[0], _TRUNK_T[-1], _LEVELS, dtype=np.float32)
    width = np.interp(heights, _TRUNK_T, widths).astype(np.float32)
    return width, pose.girth * np.interp(heights, _TRUNK_T, _TRUNK_DEPTH).astype(np.float32)


def _clothes(look: Look, t: np.ndarray, side: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Colours (3, h, w) up the trunk (t) and around it (cosines with the body's left, forward)."""
    colour = look.shirt.at(t * np.float32(0.28), side) + 0 * t
    ahead = unit(12 * front)
    width = np.abs(side)
    if look.chest == BUTTONS:
        line = 0.6 * unit(30 * (0.06 - width)) + (width < 0.06) * (np.sin(40 * t) > 0.6)
        colour = mix(colour, look.chest_colour, ahead * unit(line))
    elif look.chest == PRINT:
        patch = np.minimum(0.5 - width, 4 * np.minimum(t - 0.52, 0.82 - t))
        colour = mix(colour, look.chest_colour, ahead * unit(14 * patch))
    elif look.chest == JACKET:
        colour = mix(colour, look.chest_colour, ahead * unit(16 * (0.30 - width)))
    elif look.chest == TIE:
        tie = unit(20 * (0.05 + 0.10 * (0.95 - t) - width)) * (t > 0.35)
        colour = mix(colour, look.chest_colour, ahead * tie)
    neckline = np.where(look.chest == BARE_CHEST, 0.78, 0.88) + 0.3 * width
    bare = np.maximum(np.minimum(t - neckline, front), t - 1.0)
    colour = mix(colour, look.skin, unit(25 * bare))
    if look.backpack:
        strap = unit(20 * (0.09 - np.abs(width - 0.55))) * (t > 0.4)
        colour = mix(colour, look.chest_colour * np.float32(0.6), ahead * strap)
    trousers = look.trousers.at(t * np.float32(0.28), side) + 0 * t
    pockets = unit(12 * np.minimum(0.2 - np.abs(width - 0.45), -front)) * unit(20 * (0.06 - t))
    trousers = trousers * (1 - 0.45 * pockets)
    buckle = unit(25 * (0.12 - width)) * unit(60 * (0.035 - np.abs(t - 0.07)))
    trousers = mix(trousers, look.chest_colour, ahead * buckle)
    return mix(colour, trousers, unit(40 * (0.10 - t)))
