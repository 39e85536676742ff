"""The looks of the demo people: skin, hair and cloth, as colours at every point of a surface.

Colours are float32 planes as on the canvas, RGB 0..255: (3, 1, 1) or (3, h, w).
"""

from dataclasses import dataclass

import numpy as np

from kptkit.demo.canvas import Paint, unit
from kptkit.demo.random import pick, random_colour

PLAIN, RINGS, STRIPES, CHECKS, DOTS = range(5)
BARE_CHEST, BUTTONS, PRINT, JACKET, TIE = range(5)
BALD, SHORT, BOB, LONG = range(4)

_SKINS = ((248, 214, 188), (232, 188, 152), (209, 158, 118), (168, 116, 80), (112, 74, 52))
_HAIRS = ((28, 22, 20), (62, 40, 26), (112, 70, 38), (196, 156, 92), (148, 62, 30), (150, 148, 146))


@dataclass(frozen=True)
class Cloth:
    """A pattern of two colours with `frequency` repetitions per stature."""

    colour: np.ndarray
    second: np.ndarray
    pattern: int
    frequency: float

    def at(self, along: np.ndarray, around: np.ndarray) -> np.ndarray:
        """The colours at points of a limb: `along` it in statures, `around` it from -1 to 1."""
        if self.pattern == PLAIN:
            return self.colour
        rings = np.sin(along * np.float32(2 * np.pi * self.frequency))
        stripes = np.sin(around * np.float32(0.16 * np.pi * self.frequency))
        if self.pattern == RINGS:
            wave = rings
        elif self.pattern == STRIPES:
            wave = stripes + 0 * along
        elif self.pattern == CHECKS:
            wave = rings * stripes * 2
        else:
            wave = rings * stripes * 4 - 1.6
        return mix(self.colour, self.second, unit(0.5 + 1.5 * wave))


@dataclass(frozen=True)
class Look:
    """A person's appearance; covers are the clothed shares of a limb's length, 1 for all of it."""

    skin: np.ndarray
    hair: np.ndarray
    hair_style: int
    fringe: float
    beard: float
    glasses: bool
    mouth_open: float
    iris: np.ndarray
    shirt: Cloth
    trousers: Cloth
    shoes: np.ndarray
    soles: np.ndarray
    chest: int
    chest_colour: np.ndarray
    backpack: bool
    upper_arm_cover: float
    forearm_cover: float
    thigh_cover: float
    shin_cover: float


def sample_look(rng: np.random.Generator) -> Look:
    """Random skin, hair and clothes."""
    sleeves = pick(rng, (0.15, 0.45, 0.40))
    legs = pick(rng, (0.25, 0.15, 0.60))
    style = pick(rng, (0.08, 0.60, 0.12, 0.20))
    grown = style in (BALD, SHORT)
    return Look(
        skin=sample_skin(rng),
        hair=_near(rng, np.array(_HAIRS[rng.integers(len(_HAIRS))]), 10),
        hair_style=style,
        fringe=rng.uniform(-0.1, 0.12),
        beard=rng.uniform(0.45, 0.85) if grown and rng.random() < 0.35 else 0.0,
        glasses=rng.random() < 0.15,
        mouth_open=max(rng.normal(0, 0.06), 0),
        iris=random_colour(rng, 0.3, 0.6) * np.float32(0.5),
        shirt=sample_cloth(rng),
        trousers=sample_cloth(rng, plain=0.75),
        shoes=random_colour(rng, 0.1, 0.95),
        soles=random_colour(rng, 0.6, 1.0, saturation=0.2),
        chest=int(rng.integers(5)),
        chest_colour=random_colour(rng, 0.2, 1.0),
        backpack=rng.random() < 0.12,
        upper_arm_cover=(0.12, rng.uniform(0.45, 0.8), 2.0)[sleeves],
        forearm_cover=(0.0, 0.0, rng.uniform(0.75, 0.98))[sleeves],
        thigh_cover=(rng.uniform(0.5, 0.9), 2.0, 2.0)[legs],
        shin_cover=(0.0, rng.uniform(0.2, 0.5), rng.uniform(0.85, 1.0))[legs],
    )


def sleeve(
    cloth: Cloth,
    skin: np.ndarray,
    cover: float,
    length: float,
    joint_t: float,
    joint_light: float = -0.28,
) -> Paint:
    """The paint of a limb of `length` statures: cloth up to t = `cover`, skin beyond.

    Around t = `joint_t` it is brighter by the share `joint_light` (bone), or darker if that is
    negative (crease).
    """

    def paint(t: np.ndarray, around: np.ndarray) -> np.ndarray:
        if cover <= 0:
            colour = skin
        else:
            colour = cloth.at(t * length, around)
            if cover < 1:
                worn = unit((cover - t) * (200 * length) + 0.5)
                colour = mix(skin, colour, worn)
        joint = np.maximum(1 - 7 * np.abs(t - joint_t), 0) * (1 - 0.6 * around * around)
        return colour * (1 + joint_light * joint)

    return paint


def shoe(colour: np.ndarray, sole: np.ndarray) -> Paint:
    """The paint of a foot from heel to toe, with the sole's colour at its rim and heel."""

    def paint(t: np.ndarray, around: np.ndarray) -> np.ndarray:
        rim, heel = 0.8 * unit(12 * (np.abs(around) - 0.62)), unit(12 * (0.12 - t))
        return mix(colour, sole, np.maximum(rim, heel))

    return paint


def plain(colour: np.ndarray) -> Paint:
    """The paint of a single colour."""
    return lambda _t, _around: colour


def in_shadow(paint: Paint, shadow: float) -> Paint:
    """The paint with its brightness reduced by the share `shadow`."""
    return lambda t, around: paint(t, around) * (1 - shadow)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Colours (3, h, w) between the first and the second, by the share (h, w) of the second."""
    return first + share * (second - first)


def sample_skin(rng: np.random.Generator) -> np.ndarray:
    """A random skin colour (3, 1, 1)."""
    place = rng.uniform(0, len(_SKINS) - 1.001)
    low, share = int(place), place % 1
    return _near(rng, (1 - share) * np.array(_SKINS[low]) + share * np.array(_SKINS[low + 1]), 5)


def _near(rng: np.random.Generator, colour: np.ndarray, spread: float) -> np.ndarray:
    """A random colour (3, 1, 1) near `colour` (3,); `spread` is the standard deviation."""
    varied = np.clip(colour + rng.normal(0, spread, 3), 5, 250)
    return varied.astype(np.float32).reshape(3, 1, 1)


def sample_cloth(rng: np.random.Generator, plain: float = 0.6) -> Cloth:
    """Random cloth; `plain` is the probability that it has no pattern."""
    pattern = PLAIN if rng.random() < plain else int(rng.integers(1, 5))
    return Cloth(
        random_colour(rng, 0.15, 1), random_colour(rng, 0.1, 1), pattern, rng.uniform(10, 30)
    )
