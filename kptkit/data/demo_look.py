"""What the demo people wear: skin, hair and cloth, as colours at every point of a surface."""

from dataclasses import dataclass

import cv2
import numpy as np

from kptkit.data.demo_canvas import Paint

PLAIN, RINGS, STRIPES, CHECKS, DOTS = range(5)
BARE_CHEST, BUTTONS, PRINT, JACKET, TIE = range(5)
BALD, SHORT, BOB, LONG = range(4)

_SKINS = ((248, 214, 188), (232, 188, 152), (209, 158, 118), (168, 116, 80), (112, 74, 52))
_HAIRS = ((28, 22, 20), (62, 40, 26), (112, 70, 38), (196, 156, 92), (148, 62, 30), (150, 148, 146))


@dataclass(frozen=True)
class Cloth:
    """A pattern of two colours (3,), repeated `frequency` times per stature."""

    colour: np.ndarray
    second: np.ndarray
    pattern: int
    frequency: float

    def at(self, along: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Colours (h, w, 3), or (1, 1, 3) if plain; `along` in statures, `around` from -1 to 1."""
        if self.pattern == PLAIN:
            return self.colour[None, None]
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
        return mix(self.colour, self.second, np.clip(0.5 + 1.5 * wave, 0, 1))


@dataclass(frozen=True)
class Look:
    """One person's appearance; the covers are shares of a limb's length, 1 for all of it."""

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
    """Somebody's skin, hair and clothes."""
    sleeve = rng.choice(3, p=[0.15, 0.45, 0.40])
    leg = rng.choice(3, p=[0.25, 0.15, 0.60])
    style = int(rng.choice(4, p=[0.10, 0.45, 0.17, 0.28]))
    grown = style in (BALD, SHORT)
    return Look(
        skin=_skin(rng),
        hair=_near(rng, _HAIRS[rng.integers(len(_HAIRS))], 10),
        hair_style=style,
        fringe=rng.uniform(-0.1, 0.12),
        beard=rng.uniform(0.45, 0.85) if grown and rng.random() < 0.35 else 0.0,
        glasses=rng.random() < 0.15,
        mouth_open=max(rng.normal(0, 0.06), 0),
        iris=random_colour(rng, 0.3, 0.6) * np.float32(0.5),
        shirt=_cloth(rng),
        trousers=_cloth(rng, plain=0.75),
        shoes=random_colour(rng, 0.1, 0.95),
        soles=random_colour(rng, 0.6, 1.0, saturation=0.2),
        chest=int(rng.integers(5)),
        chest_colour=random_colour(rng, 0.2, 1.0),
        backpack=rng.random() < 0.12,
        upper_arm_cover=(0.12, rng.uniform(0.45, 0.8), 2.0)[sleeve],
        forearm_cover=(0.0, 0.0, rng.uniform(0.75, 0.98))[sleeve],
        thigh_cover=(rng.uniform(0.5, 0.9), 2.0, 2.0)[leg],
        shin_cover=(0.0, rng.uniform(0.2, 0.5), rng.uniform(0.85, 1.0))[leg],
    )


def sleeve(cloth: Cloth, skin: np.ndarray, cover: float, length: float, joint_t: float) -> Paint:
    """Paints a limb of `length` statures: cloth to t = cover, then skin; a crease at the joint."""

    def paint(t: np.ndarray, around: np.ndarray) -> np.ndarray:
        if cover <= 0:
            colour = skin[None, None]
        else:
            colour = cloth.at(t * np.float32(length), around)
            if cover < 1:
                worn = np.clip((np.float32(cover) - t) * np.float32(200 * length) + 0.5, 0, 1)
                colour = skin + worn[..., None] * (colour - skin)
        crease = np.maximum(1 - 7 * np.abs(t - np.float32(joint_t)), 0)
        return colour * (1 - np.float32(0.28) * crease)[..., None]

    return paint


def plain(colour: np.ndarray) -> Paint:
    """Paints everything in one colour (3,)."""
    return lambda _t, _around: colour[None, None]


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(h, w, 3): from the first colours to the second by their share (h, w)."""
    return first + share[..., None] * (second - first)


def random_colour(
    rng: np.random.Generator, dark: float, bright: float, saturation: float = 0.9
) -> np.ndarray:
    """(3,) float32 RGB of any hue, brightness between `dark` and `bright` of 255."""
    hsv = (rng.integers(180), 255 * saturation * rng.random(), 255 * rng.uniform(dark, bright))
    pixel = np.array([[hsv]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _skin(rng: np.random.Generator) -> np.ndarray:
    place = rng.uniform(0, len(_SKINS) - 1.001)
    low, share = int(place), place % 1
    return _near(rng, (1 - share) * np.array(_SKINS[low]) + share * np.array(_SKINS[low + 1]), 5)


def _near(rng: np.random.Generator, colour: np.ndarray, spread: float) -> np.ndarray:
    return np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 5, 250).astype(np.float32)


def _cloth(rng: np.random.Generator, plain: float = 0.5) -> Cloth:
    pattern = PLAIN if rng.random() < plain else int(rng.integers(1, 5))
    return Cloth(
        random_colour(rng, 0.15, 1), random_colour(rng, 0.1, 1), pattern, rng.uniform(10, 30)
    )
