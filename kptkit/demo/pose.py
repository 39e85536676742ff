"""The demo people's poses: body proportions and joint angles in three dimensions.

Body axes are left, up and forward of the person; lengths are in statures (body heights). A pose's
points are in camera axes: x right, y down, z away from the camera. At rest limbs point along -up.
Angles are in degrees with the signs of anatomy (flexion forward, abduction away from the body,
positive twist inward, knee flexion backward), so left and right share one table.
"""

import math
from dataclasses import dataclass

import numpy as np

from kptkit.demo.random import bounded_normal, pick

_Normal = tuple[float, float]  # mean and standard deviation

SIDES = (("left", 1.0), ("right", -1.0))

# Lengths in statures, from joint to joint.
UPPER_ARM, FOREARM, HAND = 0.165, 0.14, 0.075
THIGH, SHIN = 0.235, 0.225

# Camera axes from the body axes (left, up, forward) of a person who faces the camera.
_BODY_TO_CAMERA = np.diag([1.0, -1.0, -1.0])

# Probability; mean and standard deviation of flexion, abduction, twist and elbow flexion.
_ARMS = (
    (0.28, (5, 12), (10, 6), (0, 20), (18, 14)),  # hanging
    (0.12, (0, 30), (8, 5), (0, 15), (35, 25)),  # swinging
    (0.13, (32, 16), (12, 9), (20, 25), (85, 22)),  # bent in front
    (0.11, (-12, 8), (44, 9), (80, 12), (88, 12)),  # hand on the hip
    (0.10, (0, 15), (84, 15), (0, 35), (22, 18)),  # spread
    (0.09, (160, 15), (14, 10), (0, 25), (22, 18)),  # above the head
    (0.09, (8, 16), (76, 16), (-82, 20), (85, 25)),  # waving
    (0.05, (75, 22), (8, 14), (0, 30), (28, 22)),  # reaching
    (0.03, (50, 45), (40, 35), (0, 45), (60, 40)),  # anything
)

# Probability; mean and standard deviation of the forward lean, and per leg of flexion, abduction
# and knee flexion.
_LEGS = (
    (0.38, (2, 4), ((1, 6), (6, 4), (6, 6)), ((1, 6), (6, 4), (6, 6))),  # standing
    (0.20, (4, 5), ((25, 9), (4, 3), (12, 9)), ((-14, 8), (4, 3), (28, 16))),  # walking
    (0.09, (10, 7), ((60, 14), (4, 5), (80, 20)), ((-12, 10), (4, 5), (42, 22))),  # running
    (0.10, (5, 10), ((86, 10), (14, 8), (88, 15)), ((86, 10), (14, 8), (88, 15))),  # sitting
    (0.05, (22, 10), ((95, 14), (16, 8), (105, 16)), ((95, 14), (16, 8), (105, 16))),  # squat
    (0.06, (5, 8), ((68, 12), (8, 8), (76, 14)), ((-14, 10), (8, 6), (34, 18))),  # lunge
    (0.04, (-2, 6), ((58, 22), (12, 12), (22, 18)), ((-2, 6), (4, 3), (8, 7))),  # kick
    (0.08, (6, 8), ((5, 10), (24, 7), (10, 10)), ((5, 10), (24, 7), (10, 10))),  # straddle
)


@dataclass(frozen=True)
class Pose:
    """A body in camera axes and statures; the origin is the middle of the hips.

    Attributes:
        points: (3,) by name: COCO's limb joints, "hips", "neck", "head" (the centre of the skull),
            and per side "hand" (fingertips), "heel", "toe" and "kneecap".
        trunk, skull: (3, 3), whose columns are the part's left, up and forward axes.
        shoulder_width, hip_width: half the distance between the two joints.
        girth: thickness of the limbs relative to the average.
        skull_radii: (3,) half axes of the head along its left, up and forward axes.
    """

    points: dict[str, np.ndarray]
    trunk: np.ndarray
    skull: np.ndarray
    shoulder_width: float
    hip_width: float
    girth: float
    skull_radii: np.ndarray


def rotation(axis: int, degrees: float) -> np.ndarray:
    """(3, 3) rotation about axis 0, 1 or 2, right-handed."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((3, 3))
    matrix[axis, axis] = 1
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def sample_pose(rng: np.random.Generator) -> Pose:
    """A random body in a random pose, seen from a random direction."""
    _, leaning, first_leg, second_leg = _LEGS[pick(rng, [row[0] for row in _LEGS])]
    lean = rng.normal(*leaning)
    root = _BODY_TO_CAMERA @ _view(rng)
    pelvis = root @ rotation(0, 0.5 * lean) @ rotation(2, rng.normal(0, 3))
    trunk = (
        pelvis
        @ rotation(0, 0.5 * lean + rng.normal(0, 4))
        @ rotation(2, rng.normal(0, 7))
        @ rotation(1, rng.normal(0, 12))
    )
    skull = (
        trunk
        @ rotation(1, bounded_normal(rng, 0, 22, -60, 60))
        @ rotation(0, bounded_normal(rng, 2 - 0.4 * lean, 11, -35, 35))
        @ rotation(2, rng.normal(0, 8))
    )
    shoulder_width, hip_width = rng.uniform(0.105, 0.13), rng.uniform(0.062, 0.078)
    head_size = rng.uniform(0.98, 1.15)
    radii = head_size * np.array([0.063, 0.084, 0.074])
    neck = trunk @ [0, rng.uniform(0.27, 0.295), 0]
    points = {"hips": np.zeros(3), "neck": neck}
    points["head"] = neck + trunk @ [0, 0.045, 0.01] + skull @ [0, 0.85 * radii[1], 0.012]
    swapped = rng.random() < 0.5
    for side, sign in SIDES:
        leg = first_leg if swapped == (sign > 0) else second_leg
        points |= _arm(rng, side, sign, trunk, neck + trunk @ [sign * shoulder_width, -0.02, 0])
        points |= _leg(rng, side, sign, leg, pelvis, pelvis @ [sign * hip_width, 0, 0])
    girth = rng.uniform(0.92, 1.25)
    return Pose(points, trunk, skull, shoulder_width, hip_width, girth, radii)


def _view(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) rotation of the body relative to one that stands upright and faces the camera."""
    kind = rng.random()
    if kind < 0.49:
        yaw = rng.uniform(-32, 32)
    elif kind < 0.75:
        yaw = 180 + rng.uniform(-32, 32)
    else:
        yaw = rng.choice([-1, 1]) * rng.uniform(32, 95)
    roll = rng.normal(0, 5) if rng.random() < 0.9 else rng.uniform(-45, 45)
    return rotation(2, roll) @ rotation(0, rng.normal(6, 7)) @ rotation(1, yaw)


def _arm(
    rng: np.random.Generator, side: str, sign: float, trunk: np.ndarray, shoulder: np.ndarray
) -> dict[str, np.ndarray]:
    """The points of an arm; `sign` is 1 for the left, -1 for the right."""
    _, flexion, abduction, twist, elbow_flexion = _ARMS[pick(rng, [row[0] for row in _ARMS])]
    upper = (
        trunk
        @ rotation(0, -bounded_normal(rng, *flexion, -50, 178))
        @ rotation(2, sign * bounded_normal(rng, *abduction, -12, 110))
        @ rotation(1, -sign * rng.normal(*twist))
    )
    fore = upper @ rotation(0, -bounded_normal(rng, *elbow_flexion, 0, 142))
    elbow = shoulder - UPPER_ARM * upper[:, 1]
    wrist = elbow - FOREARM * fore[:, 1]
    hand = wrist - HAND * (fore @ rotation(0, rng.normal(-8, 18)))[:, 1]
    names = ("shoulder", "elbow", "wrist", "hand")
    return {f"{side}_{n}": p for n, p in zip(names, (shoulder, elbow, wrist, hand), strict=True)}


def _leg(
    rng: np.random.Generator,
    side: str,
    sign: float,
    ranges: tuple[_Normal, _Normal, _Normal],
    pelvis: np.ndarray,
    hip: np.ndarray,
) -> dict[str, np.ndarray]:
    """The points of a leg; `sign` is 1 for the left, -1 for the right; `ranges` as in _LEGS."""
    flexion, abduction, bend = ranges
    knee_flexion = bounded_normal(rng, *bend, 0, 140)
    thigh = (
        pelvis
        @ rotation(0, -bounded_normal(rng, *flexion, -30, 125))
        @ rotation(2, sign * bounded_normal(rng, *abduction, -8, 45))
        @ rotation(1, sign * rng.uniform(-2, 20))
    )
    shin = thigh @ rotation(0, knee_flexion)
    foot = shin @ rotation(0, bounded_normal(rng, 4 + 0.15 * knee_flexion, 8, -15, 40))
    knee = hip - THIGH * thigh[:, 1]
    ankle = knee - SHIN * shin[:, 1]
    heel = ankle - 0.026 * foot[:, 1] - 0.025 * foot[:, 2]
    toe = ankle - 0.034 * foot[:, 1] + 0.085 * foot[:, 2]
    forward = thigh[:, 2] + shin[:, 2]
    kneecap = knee + 0.03 * forward / np.linalg.norm(forward)
    names = ("hip", "knee", "ankle", "heel", "toe", "kneecap")
    places = (hip, knee, ankle, heel, toe, kneecap)
    return {f"{side}_{name}": place for name, place in zip(names, places, strict=True)}
