"""The keypoint schema of a category in a COCO file (cocodataset.org, keypoint detection format)."""

import reprlib
from typing import Any

from kptkit.errors import InputError
from kptkit.skeletons.known import COCO_17, DEFAULT_OKS_SIGMA, sigmas_by_name
from kptkit.skeletons.schema import KeypointSchema, Pairs, infer_flip_pairs


def schema_from_category(category: dict[str, Any], source: str) -> tuple[KeypointSchema, list[str]]:
    """The schema of a COCO category, and notices of what had to be assumed.

    COCO's seventeen names give `COCO_17`. Any other names get their flip pairs from
    `infer_flip_pairs` and their sigmas from `sigmas_by_name`.

    Args:
        category: ``keypoints`` (names) and ``skeleton`` (edges counted from 1).
        source: what messages begin with, usually ``FILE: categories[0]``.

    Raises:
        InputError: the names are not distinct strings, or the edges are not pairs of numbers.
    """
    names = category.get("keypoints")
    if not (isinstance(names, list) and names and all(map(_is_name, names))):
        found = "missing" if names is None else reprlib.repr(names)
        raise InputError(f"{source}.keypoints: {found}; expected a list of keypoint names")
    if tuple(names) == COCO_17.names:
        return COCO_17, []
    edges, notices = _edges(category.get("skeleton") or [], len(names), source)
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


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and name.isprintable()


def _edges(skeleton: Any, num_keypoints: int, source: str) -> tuple[Pairs, list[str]]:
    """Edges counted from 0, and notices. COCO counts from 1; a file with a 0 counts from 0.

    Edges are only drawn, so a number without a keypoint drops the edges instead of stopping the
    run: CrowdPose's official files, for example, list COCO's edges with 14 keypoints.
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
