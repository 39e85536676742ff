"""Which keypoints there are: their names, edges, mirror pairs and evaluation sigmas."""

import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kptkit.errors import InputError

# For keypoints that nobody has measured: among COCO's, between the face (.025) and the hips (.107).
DEFAULT_OKS_SIGMA = 0.05

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class KeypointSchema:
    """The keypoints of one data set, in the order of its annotations; indices count from 0.

    Attributes:
        names: one per keypoint, all different.
        edges: the bones to draw.
        flip_pairs: (left, right) keypoints that change places in a mirrored picture; disjoint.
        oks_sigmas: per keypoint, how far annotators disagree in units of the square root of the
            person's area (Object Keypoint Similarity, COCO keypoint evaluation).
        upper_body: the keypoints of the upper half, for half-body augmentation; () turns it off.

    Raises:
        InputError: when the parts do not fit each other.
    """

    names: tuple[str, ...]
    edges: Pairs
    flip_pairs: Pairs
    oks_sigmas: tuple[float, ...]
    upper_body: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise InputError("names: no keypoints; expected at least one")
        for name, count in Counter(self.names).items():
            if count > 1:
                raise InputError(f"names: {name!r} stands {count} times; expected different names")
        for field in ("edges", "flip_pairs"):
            for pair in getattr(self, field):
                if len(pair) != 2:
                    raise InputError(f"{field}: {pair}: expected two keypoint indices")
                self._check_indices(field, pair)
        self._check_indices("upper_body", self.upper_body)
        paired = Counter(index for pair in self.flip_pairs for index in pair)
        for index, count in paired.items():
            if count > 1:
                raise InputError(
                    f"flip_pairs: keypoint {self.names[index]!r} stands {count} times; mirroring "
                    "twice must give the same keypoint again, so each may have one partner"
                )
        if len(self.oks_sigmas) != self.num_keypoints:
            raise InputError(
                f"oks_sigmas: {len(self.oks_sigmas)} numbers; expected one for each of the "
                f"{self.num_keypoints} keypoints"
            )
        for name, sigma in zip(self.names, self.oks_sigmas, strict=True):
            if not (math.isfinite(sigma) and sigma > 0):
                raise InputError(f"oks_sigmas: {sigma} for {name!r}; expected a positive number")

    def _check_indices(self, field: str, indices: Sequence[int]) -> None:
        for index in indices:
            if not 0 <= index < self.num_keypoints:
                raise InputError(
                    f"{field}: keypoint {index}; expected 0 to {self.num_keypoints - 1}"
                )

    @property
    def num_keypoints(self) -> int:
        """How many keypoints there are."""
        return len(self.names)

    @property
    def flip_permutation(self) -> tuple[int, ...]:
        """For each keypoint, the one whose place it takes in a mirrored picture."""
        permutation = list(range(self.num_keypoints))
        for left, right in self.flip_pairs:
            permutation[left], permutation[right] = right, left
        return tuple(permutation)

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON types, for run folders and manifests."""
        return {
            "names": list(self.names),
            "edges": [list(edge) for edge in self.edges],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "oks_sigmas": list(self.oks_sigmas),
            "upper_body": list(self.upper_body),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "KeypointSchema":
        """The schema that `to_json` wrote.

        Raises:
            InputError: `content` is not what `to_json` writes.
        """
        try:
            return cls(
                names=tuple(str(name) for name in content["names"]),
                edges=tuple((int(a), int(b)) for a, b in content["edges"]),
                flip_pairs=tuple((int(a), int(b)) for a, b in content["flip_pairs"]),
                oks_sigmas=tuple(float(sigma) for sigma in content["oks_sigmas"]),
                upper_body=tuple(int(index) for index in content["upper_body"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"keypoint schema: {error!r}; expected what kptkit wrote") from None


# Names, edges and sigmas of the COCO keypoint challenge; upper body of the official HRNet code.
COCO_17 = KeypointSchema(
    names=(
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
        *("left_wrist", "right_wrist", "left_hip", "right_hip"),
        *("left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    edges=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7)),
        *((6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    oks_sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    upper_body=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)

# Loss weights of the WZMIAOMIAO HRNet recipe: the ends of the limbs are harder.
COCO_17_KEYPOINT_WEIGHTS = (
    *(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    *(1.2, 1.2, 1.5, 1.5),
    *(1.0, 1.0, 1.2, 1.2, 1.5, 1.5),
)

_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")


def infer_flip_pairs(names: Sequence[str]) -> Pairs:
    """The (left, right) keypoints that mirror each other, read from their names.

    Left and right are found as words or as the letters l and r, before, after or inside the name,
    in any case and with any separator: ``left_eye``, ``eye-left``, ``LeftEye``, ``l_eye``,
    ``eye.R``, ``lsho``. Two keypoints are paired only where each is the only mirror image of the
    other; the rest stay in their places.
    """
    words = [tuple(word.lower() for word in _WORDS.findall(name)) for name in names]
    joined = [_plain_name(name) for name in names]
    mirror: dict[int, tuple[int, str]] = {}
    for index, parts in enumerate(words):
        for side, other_name in _mirrored_names(parts):
            if joined.count(other_name) == 1 and joined.count(joined[index]) == 1:
                mirror[index] = (joined.index(other_name), side)
                break
    return tuple(
        (index, other)
        for index, (other, side) in sorted(mirror.items())
        if side == "l" and mirror.get(other, (None, ""))[0] == index
    )


def _mirrored_names(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The side a name may name ("l" or "r") and the name of the other side, the surest first."""
    for place, word in enumerate(words):
        if word in _OTHER_SIDE:
            yield word[0], "".join((*words[:place], _OTHER_SIDE[word], *words[place + 1 :]))
    name = "".join(words)
    for side, other in _OTHER_SIDE.items():
        if name.startswith(side):
            yield side[0], other + name[len(side) :]
        if name.endswith(side):
            yield side[0], name[: -len(side)] + other


def parse_flip_pairs(text: str, names: Sequence[str]) -> Pairs:
    """Pairs from a flag: ``left_eye:right_eye,left_ear:right_ear`` or, from 0, ``1:2,3:4``.

    Raises:
        InputError: a part that is no pair of known keypoints.
    """
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        sides = [side.strip() for side in part.split(":")]
        if len(sides) != 2:
            raise InputError(f"flip pairs: {part!r}; expected LEFT:RIGHT, as in left_eye:right_eye")
        pairs.append((_keypoint_index(sides[0], names), _keypoint_index(sides[1], names)))
    return tuple(pairs)


def _keypoint_index(text: str, names: Sequence[str]) -> int:
    if text in names:
        return list(names).index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise InputError(
        f"flip pairs: {text!r} is no keypoint; expected one of {', '.join(names)}, "
        f"or a number from 0 to {len(names) - 1}"
    )


def schema_from_category(category: dict[str, Any], source: str) -> tuple[KeypointSchema, list[str]]:
    """The schema of a category of a COCO file, and notices of what had to be assumed.

    COCO's seventeen names give `COCO_17`. Otherwise flip pairs come from the names, and sigmas from
    the COCO keypoints of the same names; the others get `DEFAULT_OKS_SIGMA`.

    Args:
        category: ``keypoints`` (names) and ``skeleton`` (edges counted from 1).
        source: what messages name, usually ``FILE: categories[0]``.

    Raises:
        InputError: names that are no distinct strings, or edges that are no pairs of numbers.
    """
    names = category.get("keypoints")
    if not (isinstance(names, list) and names and all(map(_is_name, names))):
        found = "missing" if names is None else reprlib.repr(names)
        raise InputError(f"{source}.keypoints: {found}; expected a list of keypoint names")
    if tuple(names) == COCO_17.names:
        return COCO_17, []
    edges, notices = _edges_from_one(category.get("skeleton") or [], len(names), source)
    sigmas, unknown = sigmas_by_name(names)
    if unknown:
        notices.append(
            f"{source}: no OKS sigmas are known for {', '.join(unknown)}; "
            f"{DEFAULT_OKS_SIGMA} is used, so AP compares runs on this data only"
        )
    try:
        schema = KeypointSchema(
            names=tuple(names),
            edges=edges,
            flip_pairs=infer_flip_pairs(names),
            oks_sigmas=sigmas,
        )
    except InputError as error:
        raise InputError(f"{source}.keypoints: {error}") from None
    return schema, notices


def sigmas_by_name(names: Sequence[str]) -> tuple[tuple[float, ...], list[str]]:
    """OKS sigmas of the COCO keypoints of the same names, and the names that COCO does not have."""
    known = dict(zip(map(_plain_name, COCO_17.names), COCO_17.oks_sigmas, strict=True))
    sigmas = tuple(known.get(_plain_name(name), DEFAULT_OKS_SIGMA) for name in names)
    return sigmas, [name for name in names if _plain_name(name) not in known]


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and name.isprintable()


def _plain_name(name: str) -> str:
    """A name without case and separators: "Left Eye" and "left_eye" are both "lefteye"."""
    return "".join(_WORDS.findall(name)).lower()


def _edges_from_one(skeleton: Any, num_keypoints: int, source: str) -> tuple[Pairs, list[str]]:
    """Edges counted from 0. COCO counts from 1; a file that names keypoint 0 counts from 0.

    Edges are only drawn. Numbers without a keypoint therefore cost the edges, not the run;
    CrowdPose's official files, for one, carry COCO's edges beside 14 keypoints.
    """
    if not isinstance(skeleton, list):
        raise InputError(f"{source}.skeleton: {reprlib.repr(skeleton)}; expected a list of pairs")
    for place, edge in enumerate(skeleton):
        is_pair = isinstance(edge, list) and len(edge) == 2 and all(type(i) is int for i in edge)
        if not is_pair:
            raise InputError(
                f"{source}.skeleton[{place}]: {reprlib.repr(edge)}; expected two keypoint numbers "
                f"from 1 to {num_keypoints}"
            )
    numbers = [index for edge in skeleton for index in edge]
    first = 0 if 0 in numbers else 1
    last = num_keypoints - 1 + first
    for number in numbers:
        if not first <= number <= last:
            return (), [
                f"{source}.skeleton: no keypoint has the number {number} (they count from {first} "
                f"to {last}); no edges are drawn"
            ]
    notices = [] if first else [f"{source}.skeleton: counts keypoints from 0, not from 1; accepted"]
    return tuple((a - first, b - first) for a, b in skeleton), notices
