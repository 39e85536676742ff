"""The keypoints of a data set: names, edges, flip pairs and OKS sigmas.

Left and right are found in the names (`infer_flip_pairs`); names are compared without case and
separators (`plain_name`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kptkit.checks import check_range
from kptkit.errors import InputError

# Whole bodies have 133, meshes of faces 478.
MOST_KEYPOINTS = 1000
MOST_LETTERS = 100
MOST_EDGES = 10_000
LARGEST_SIGMA = 1000

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class KeypointSchema:
    """The K keypoints of one data set, in the order of its annotations; indices count from 0.

    Attributes:
        names: K different names.
        edges: pairs of keypoint indices between which a bone is drawn.
        flip_pairs: (left, right) keypoint indices that are swapped when a picture is mirrored; each
            index is in at most one pair.
        oks_sigmas: K positive numbers: the annotators' spread of each keypoint, in units of the
            square root of the person's area (Object Keypoint Similarity, COCO keypoint evaluation).
        upper_body: indices of the upper body, for half-body augmentation; () turns it off.

    Raises:
        InputError: an index, pair or number does not fit the names.
    """

    names: tuple[str, ...]
    edges: Pairs
    flip_pairs: Pairs
    oks_sigmas: tuple[float, ...]
    upper_body: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MOST_KEYPOINTS:
            raise InputError(
                f"names: {len(self.names) or 'no'} keypoints; expected at least one and at most "
                f"{MOST_KEYPOINTS:,}"
            )
        for name in self.names:
            if not 1 <= len(name) <= MOST_LETTERS:
                raise InputError(
                    f"names: {len(name)} letters; expected names of 1 to {MOST_LETTERS} letters"
                )
            if not name.isprintable():
                raise InputError(f"names: {name!r}; expected visible letters and spaces")
        for field in ("edges", "flip_pairs", "upper_body"):
            check_range(f"number of {field}", len(getattr(self, field)), 0, MOST_EDGES)
        for name, count in Counter(self.names).items():
            if count > 1:
                raise InputError(f"names: {name!r} appears {count} times; expected different names")
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
                    f"flip_pairs: keypoint {self.names[index]!r} appears {count} times; expected "
                    "at most one partner each, so that mirroring twice changes nothing"
                )
        if len(self.oks_sigmas) != self.num_keypoints:
            raise InputError(
                f"oks_sigmas: {len(self.oks_sigmas)} numbers; expected one for each of the "
                f"{self.num_keypoints} keypoints"
            )
        for name, sigma in zip(self.names, self.oks_sigmas, strict=True):
            if not 0 < sigma <= LARGEST_SIGMA:
                raise InputError(
                    f"oks_sigmas: {sigma} for {name!r}; expected a positive number, at most "
                    f"{LARGEST_SIGMA}"
                )

    def _check_indices(self, field: str, indices: Sequence[int]) -> None:
        for index in indices:
            if not 0 <= index < self.num_keypoints:
                raise InputError(
                    f"{field}: keypoint {index}; expected 0 to {self.num_keypoints - 1}"
                )

    @property
    def num_keypoints(self) -> int:
        """The number of keypoints, K."""
        return len(self.names)

    @property
    def flip_permutation(self) -> tuple[int, ...]:
        """K indices: the partner of each keypoint in `flip_pairs`, or the keypoint itself."""
        permutation = list(range(self.num_keypoints))
        for left, right in self.flip_pairs:
            permutation[left], permutation[right] = right, left
        return tuple(permutation)

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON types, as run folders and manifests store it."""
        return {
            "names": list(self.names),
            "edges": [list(edge) for edge in self.edges],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "oks_sigmas": list(self.oks_sigmas),
            "upper_body": list(self.upper_body),
        }


_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
# Words end where the case, the script or the kind of character changes: "LEye2" is L, Eye and 2.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")


def name_words(name: str) -> tuple[str, ...]:
    """The lower-case words of a keypoint's name: "left_eye" and "LeftEye" give ("left", "eye")."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def plain_name(name: str) -> str:
    """A keypoint's name without case and separators: "Left Eye" and "left_eye" give "lefteye"."""
    return "".join(name_words(name))


def infer_flip_pairs(names: Sequence[str]) -> Pairs:
    """The (left, right) index pairs of keypoints that mirror each other, read from their names.

    Left and right are found as words or as the letters l and r, before, after or inside the name,
    in any case and with any separator: ``left_eye``, ``eye-left``, ``LeftEye``, ``l_eye``,
    ``eye.R``, ``lsho``. Two keypoints are paired only if each is the only mirror image of the
    other; all others have no partner.
    """
    plain = [plain_name(name) for name in names]
    mirror: dict[int, tuple[int, str]] = {}
    for index, name in enumerate(names):
        for side, other_name in _mirrored_names(name_words(name)):
            if plain.count(other_name) == 1 and plain.count(plain[index]) == 1:
                mirror[index] = (plain.index(other_name), side)
                break
    return tuple(
        (index, other)
        for index, (other, side) in sorted(mirror.items())
        if side == "l" and mirror.get(other, (None, ""))[0] == index
    )


def _mirrored_names(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each side ("l" or "r") that a name may state, with the mirrored plain name; surest first."""
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
    """Index pairs from a flag: ``left_eye:right_eye,left_ear:right_ear`` or, from 0, ``1:2,3:4``.

    Raises:
        InputError: a part is not a pair of known keypoints.
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
    if len(text) < 10 and text.isdecimal() and int(text) < len(names):
        return int(text)
    raise InputError(
        f"flip pairs: {text!r} is not a keypoint; expected one of {', '.join(names)}, "
        f"or a number from 0 to {len(names) - 1}"
    )
