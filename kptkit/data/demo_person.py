"""One demo person on the canvas: limbs, clothes and head, and which keypoints are seen."""

from dataclasses import dataclass

import numpy as np

from kptkit.data import demo_head
from kptkit.data.demo_canvas import Canvas
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

# Which parts (besides the keypoint's side) show a keypoint, and how far (in statures) behind the
# visible surface it may lie: a limb's joint is inside the limb, a point of the face on its surface.
_SHOWN_BY = {
    "nose": (("head",), 0.03),
    "eye": (("head",), 0.02),
    "ear": (("head",), 0.03),
    "shoulder": (("trunk", "upper_arm"), 0.085),
    "elbow": (("upper_arm", "forearm"), 0.06),
    "wrist": (("forearm", "hand"), 0.05),
    "hip": (("trunk", "thigh"), 0.12),
    "knee": (("thigh", "shin"), 0.085),
    "ankle": (("shin", "foot"), 0.07),
}

# Half widths (relative to the shoulders' or hips') and half depths (statures) up the trunk.
_TRUNK_T = np.array([-0.16, -0.04, 0.10, 0.45, 0.80, 0.92, 0.99, 1.06])
_TRUNK_DEPTH = np.array([0.045, 0.068, 0.070, 0.062, 0.074, 0.060, 0.045, 0.034])


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
        return self.number * len(PARTS) + PARTS.index(part)

    def skull_matrix(self) -> np.ndarray:
        """(3, 3) from the skull's unit sphere to pixels."""
        return self.scale * self.pose.skull * self.pose.skull_radii

    def keypoints_xyz(self) -> np.ndarray:
        """(17, 3) x, y in image pixels and z of COCO's keypoints, wherever they are."""
        on_skull = {"nose": demo_head.NOSE_TIP}
        for side, _ in SIDES:
            on_skull |= {f"{side}_eye": demo_head.EYES[side], f"{side}_ear": demo_head.EARS[side]}
        matrix, head = self.skull_matrix(), self.at("head")
        return np.stack(
            [head + matrix @ on_skull[n] if n in on_skull else self.at(n) for n in COCO_17.names]
        )


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
    """(17, 3) x, y and COCO's visibility: 2 seen, 1 hidden behind something, 0 outside (x = y = 0).

    A keypoint is seen if the pixel it falls into shows one of its own parts, no deeper than the
    joint lies inside them; read from the finished canvas.
    """
    height, width = canvas.depth.shape
    keypoints = np.zeros((COCO_17.num_keypoints, 3))
    for index, (x, y, z) in enumerate(person.keypoints_xyz()):
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        if not (0 <= column < width and 0 <= row < height):
            continue
        side, _, joint = COCO_17.names[index].rpartition("_")
        parts, depth = _SHOWN_BY[joint]
        owners = [person.owner(p if p in PARTS else f"{side}_{p}") for p in parts]
        near = z - canvas.depth[row, column] <= depth * person.scale
        seen = near and canvas.owner[row, column] in owners
        keypoints[index] = x, y, 2 if seen else 1
    return keypoints


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
        thigh = sleeve(look.trousers, look.skin, look.thigh_cover, 0.235, 1)
        shin = sleeve(look.trousers, look.skin, look.shin_cover, 0.225, 0)
        shoe = _shoe(look)
        add(f"{side}_upper_arm", at["shoulder"], at["elbow"], (0.037, 0.002, 0.027), upper)
        add(f"{side}_forearm", at["elbow"], at["wrist"], (0.027, 0.005, 0.018), fore)
        add(f"{side}_hand", at["wrist"], at["hand"], (0.017, 0.008, 0.012), plain(look.skin))
        add(f"{side}_thigh", at["hip"], at["knee"], (0.060, 0.002, 0.038), thigh)
        add(f"{side}_shin", at["knee"], at["ankle"], (0.037, 0.008, 0.024), shin)
        add(f"{side}_foot", at["heel"], at["toe"], (0.028, 0.002, 0.022), shoe)
    trousers = plain(look.trousers.colour)
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
        return mix(look.shoes, look.soles, np.clip(12 * (np.abs(around) - 0.62), 0, 0.8) + 0 * t)

    return paint


def _trunk(canvas: Canvas, person: Person) -> None:
    """The trunk: elliptical cross-sections around the line from the hips to the neck."""
    pose, scale = person.pose, np.float32(person.scale)
    hips, neck = person.at("hips"), person.at("neck")
    reach = 0.16 * scale
    window = canvas.window(np.minimum(hips, neck) - reach, np.maximum(hips, neck) + reach)
    if window is None:
        return
    rows, columns, x, y = window
    x, y = x - np.float32(hips[0]), y - np.float32(hips[1])
    ax, ay, az = (neck - hips).astype(np.float32)
    length = np.float32(max(np.hypot(ax, ay), 0.1 * scale))
    t = (x * ax + y * ay) / length**2
    # The normal of the axis in the image, and how much of the body's axes lies along it.
    nx, ny = -ay / length, ax / length
    left, forward = pose.trunk[:, 0].astype(np.float32), pose.trunk[:, 2].astype(np.float32)
    left_n, forward_n = nx * left[0] + ny * left[1], nx * forward[0] + ny * forward[1]
    hip, shoulder = pose.hip_width + 0.045, pose.shoulder_width
    widths = [0.5 * hip, hip, hip, 0.72 * shoulder, 0.98 * shoulder, 0.9 * shoulder]
    widths += [0.55 * shoulder, 0.035]
    half_width = np.interp(t, _TRUNK_T, widths).astype(np.float32) * scale
    half_depth = np.interp(t, _TRUNK_T, _TRUNK_DEPTH).astype(np.float32) * scale * pose.girth
    silhouette = np.hypot(half_width * left_n, half_depth * forward_n)
    across = x * nx + y * ny
    coverage = np.clip(silhouette - np.abs(across) + 0.5, 0, 1)
    coverage *= np.clip((t + 0.14) * length, 0, 1) * np.clip((1.06 - t) * length, 0, 1)
    sine = np.clip(across / silhouette, -1, 1)
    cosine = np.sqrt(1 - sine * sine)
    side = sine * left_n - cosine * left[2]
    front = sine * forward_n - cosine * forward[2]
    rise = np.hypot(half_width * left[2], half_depth * forward[2]) * cosine
    colour = _clothes(person.look, t, side, front) * canvas.shade(nx * sine, ny * sine, -cosine)
    depth = np.float32(hips[2]) + t * az - rise
    canvas.paint(rows, columns, colour, coverage, depth, person.owner("trunk"))


def _clothes(look: Look, t: np.ndarray, side: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) up the trunk (t) and around it (cosines with the body's left, forward)."""
    colour = look.shirt.at(t * np.float32(0.28), side) + np.zeros((*t.shape, 1), np.float32)
    ahead = np.clip(12 * front, 0, 1)
    width = np.abs(side)
    if look.chest == BUTTONS:
        line = np.clip(20 * (0.06 - width), 0, 0.6) + (width < 0.06) * (np.sin(40 * t) > 0.6)
        colour = mix(colour, look.chest_colour, ahead * np.clip(line, 0, 1))
    elif look.chest == PRINT:
        patch = np.minimum(0.5 - width, 4 * np.minimum(t - 0.52, 0.82 - t))
        colour = mix(colour, look.chest_colour, ahead * np.clip(14 * patch, 0, 1))
    elif look.chest == JACKET:
        colour = mix(colour, look.chest_colour, ahead * np.clip(16 * (0.30 - width), 0, 1))
    elif look.chest == TIE:
        tie = np.clip(20 * (0.05 + 0.10 * (0.95 - t) - width), 0, 1) * (t > 0.35)
        colour = mix(colour, look.chest_colour, ahead * tie)
    neckline = np.where(look.chest == BARE_CHEST, 0.78, 0.88) + 0.3 * width
    bare = np.maximum(np.minimum(t - neckline, front), t - 1.0)
    colour = mix(colour, look.skin, np.clip(25 * bare, 0, 1))
    if look.backpack:
        strap = np.clip(20 * (0.09 - np.abs(width - 0.55)), 0, 1) * (t > 0.4)
        colour = mix(colour, look.chest_colour * np.float32(0.6), ahead * strap)
    return mix(colour, look.trousers.colour, np.clip(40 * (0.10 - t), 0, 1))
