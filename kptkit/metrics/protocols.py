"""How each data set is evaluated: which metric, which length and which keypoints count.

    oks              COCO and data without a protocol of its own: AP and AR of OKS (`metrics.oks`)
    pckh             MPII: PCK in head sizes, which come with the samples
    pck_torso        FLIC, LSP: PCK in torso sizes
    nme_interocular  300W, WFLW, COFW: mean error in distances between the outer eye corners

Definitions and their sources are in `metrics.pck` and `metrics.nme`. All metrics are shares, not
percentages, and NaN where no keypoint counts.
"""

from collections.abc import Sequence

import numpy as np

from kptkit.errors import InputError
from kptkit.metrics import tables
from kptkit.metrics.distances import distance_between, mean_or_nan, normalised_distances
from kptkit.metrics.nme import (
    EYES,
    box_area_sizes,
    cumulative_auc,
    failure_rate,
    landmark_box_sizes,
    mean_error,
    nme,
)
from kptkit.metrics.pck import (
    PCKH_THRESHOLDS,
    UNCOUNTED_JOINTS,
    box_sizes,
    mean_pck,
    pck,
)
from kptkit.samples import KeypointSamples, Protocol
from kptkit.skeletons.schema import KeypointSchema, plain_name

TORSO_THRESHOLDS = (0.2, 0.1)
FAILURE_THRESHOLDS = (0.08, 0.1)

_HEADLINES: dict[Protocol, tuple[str, bool]] = {
    "oks": ("AP", True),
    "pckh": ("PCKh@0.5", True),
    "pck_torso": ("PCK@0.2", True),
    "nme_interocular": ("NME", False),
}
_UNITS: dict[Protocol, str] = {
    "oks": "torso",
    "pckh": "head size",
    "pck_torso": "torso",
    "nme_interocular": "inter-ocular",
}
_NOTES: dict[Protocol, str] = {
    "oks": "PCK: in torsos, from left shoulder to right hip",
    "pckh": "PCKh: in head sizes, 0.6 of the head box's diagonal; without pelvis and thorax, but "
    "for 'all'; HRNet's tables call @0.11 @0.1",
    "pck_torso": "PCK: in torsos, from a shoulder to the opposite hip",
    "nme_interocular": "NME: in distances between the outer corners of the eyes",
}


def headline(protocol: Protocol) -> tuple[str, bool]:
    """The name of the metric by which the best weights are chosen, and whether higher is better."""
    return _HEADLINES[protocol]


def judge(samples: KeypointSamples, keypoints: np.ndarray) -> dict[str, float]:
    """The metrics of the samples' protocol; for `oks` only PCK@0.2, since AP needs a COCO file.

    Args:
        samples: N persons or faces with their true keypoints.
        keypoints: (N, K, 2 or 3): the predicted x, y of each of them in image pixels.

    Returns:
        `pckh`: PCKh@0.5, @0.1 and @0.11 without pelvis and thorax, and ` all` with them.
        `pck_torso`: PCK@0.2 and @0.1.
        `nme_interocular`: NME in distances between the eyes and in the two square roots of
        `metrics.nme`, failure rates and AUCs.
        `oks`: PCK@0.2 in torso sizes; nothing if the schema has no shoulders and hips.

    Raises:
        InputError: a prediction is not finite, or the protocol's length is not known.
    """
    if samples.protocol == "oks":
        torso = find_torso(samples.schema)
        return {} if torso is None else _pck_metrics(samples, keypoints, (0.2,))
    if samples.protocol == "pckh":
        return _pckh_metrics(samples, keypoints)
    if samples.protocol == "pck_torso":
        return _pck_metrics(samples, keypoints, TORSO_THRESHOLDS)
    return _face_metrics(samples, keypoints)


def pck_of(samples: KeypointSamples, keypoints: np.ndarray, threshold: float = 0.2) -> float:
    """PCK over all labelled keypoints, to compare predictions of the same samples.

    In torso sizes if the schema has shoulders and hips, else in the protocol's own length (faces:
    between the eyes), else in the longer side of the box. It takes about a millisecond for a
    thousand persons.

    Args:
        samples: N persons or faces with their true keypoints.
        keypoints: (N, K, 2 or 3), for example from one stack of an hourglass.
        threshold: as a share of the length.
    """
    if find_torso(samples.schema):
        sizes = torso_lengths(samples)
    elif samples.protocol == "oks":
        sizes = box_sizes(samples.boxes_xyxy)
    else:
        sizes = lengths(samples)
    return _mean_pck(samples, keypoints, sizes, (threshold,))[0]


def lengths(samples: KeypointSamples) -> np.ndarray:
    """The length (N,) in pixels by which the protocol divides errors; NaN where unknown.

    Raises:
        InputError: the samples have no head sizes, or the schema has no torso or eyes.
    """
    protocol = samples.protocol
    if protocol == "pckh":
        if samples.reference_lengths is None:
            raise InputError("PCKh: no head sizes; expected a file that has head boxes")
        return samples.reference_lengths
    if protocol in ("oks", "pck_torso"):
        return torso_lengths(samples)
    return distance_between(samples.keypoints, *find_eyes(samples.schema))


def torso_lengths(samples: KeypointSamples) -> np.ndarray:
    """The torso sizes (N,) in pixels, NaN where unknown.

    Those that come with `pck_torso` samples, else the distance from left shoulder to right hip.

    Raises:
        InputError: the schema has no such keypoints.
    """
    if samples.protocol == "pck_torso" and samples.reference_lengths is not None:
        return samples.reference_lengths
    torso = find_torso(samples.schema)
    if torso is None:
        raise InputError(
            f"PCK in torsos: keypoints {', '.join(samples.schema.names)}; "
            "expected left_shoulder and right_hip among them"
        )
    return distance_between(samples.keypoints, *torso)


def find_torso(schema: KeypointSchema) -> tuple[int, int] | None:
    """The indices of left shoulder and right hip, by names such as `left_shoulder` or `Hip.R`."""
    shoulder = _find(schema, ("left", "l"), ("shoulder", "sho"))
    hip = _find(schema, ("right", "r"), ("hip",))
    return None if shoulder is None or hip is None else (shoulder, hip)


def find_eyes(schema: KeypointSchema) -> tuple[int, int]:
    """The indices of the two points that NME measures between, the image's left one first.

    By the names of the outer eye corners, such as right_eye_outer and left_eye_outer; else by the
    number of points, if it is one of the usual 5, 29, 68 and 98; else right_eye and left_eye.

    Raises:
        InputError: none of these.
    """
    corners = _find_sides(schema, ("eyeouter", "eyeoutercorner"))
    if corners:
        return corners
    count = schema.num_keypoints
    if count in EYES:
        return EYES[count]
    eyes = _find_sides(schema, ("eye",))
    if eyes:
        return eyes
    names = ", ".join(schema.names[:5]) + (", ..." if count > 5 else "")
    raise InputError(
        f"NME: {count} keypoints, {names}; expected 5, 29, 68 or 98 landmarks, or left_eye and "
        "right_eye among their names"
    )


def format_table(protocol: Protocol, metrics: dict[str, float]) -> str:
    """The metrics as a Markdown table of one row, with a note on the length they refer to."""
    places = 4 if protocol.startswith("nme") else 3
    table = tables.one_row(metrics, places)
    if protocol == "oks" and "PCK@0.2" not in metrics:
        return table
    return f"{table}\n\n{_NOTES[protocol]}"


def keypoint_table(samples: KeypointSamples, keypoints: np.ndarray) -> str:
    """A Markdown table with a row for each keypoint, in the protocol's own length.

    Args:
        samples: N persons or faces with their true keypoints.
        keypoints: (N, K, 3) predicted x, y in image pixels and score, in the order of `samples`.

    Raises:
        InputError: as `judge`.
    """
    distances = _distances(samples, keypoints, lengths(samples))
    judged = np.isfinite(distances)
    protocol = samples.protocol
    shares = {
        f"{'PCKh' if protocol == 'pckh' else 'PCK'}@{threshold:g}": distances <= threshold
        for threshold in _table_thresholds(protocol)
    }
    columns = {
        **shares,
        f"distance / {_UNITS[protocol]}": distances,
        "score": np.asarray(keypoints)[..., 2],
    }
    groups = {name: [index] for index, name in enumerate(samples.schema.names)}
    uncounted = _uncounted(samples)
    if uncounted:
        counted = [i for i in range(len(groups)) if i not in uncounted]
        groups[f"all but {', '.join(samples.schema.names[i] for i in uncounted)}"] = counted
    groups["all"] = list(range(samples.schema.num_keypoints))
    rows = [["keypoint", "labelled", *columns]]
    for name, indices in groups.items():
        own = judged[:, indices]
        numbers = [mean_or_nan(values[:, indices][own]) for values in columns.values()]
        rows.append([name, str(own.sum()), *(tables.decimals(number) for number in numbers)])
    return tables.markdown(rows)


def _pckh_metrics(samples: KeypointSamples, keypoints: np.ndarray) -> dict[str, float]:
    metrics = {}
    for suffix, excluded in (("", _uncounted(samples)), (" all", ())):
        means = _mean_pck(samples, keypoints, lengths(samples), PCKH_THRESHOLDS, excluded)
        for threshold, mean in zip(PCKH_THRESHOLDS, means, strict=True):
            metrics[f"PCKh@{threshold:g}{suffix}"] = mean
    return metrics


def _pck_metrics(
    samples: KeypointSamples, keypoints: np.ndarray, thresholds: Sequence[float]
) -> dict[str, float]:
    means = _mean_pck(samples, keypoints, torso_lengths(samples), thresholds)
    return {f"PCK@{threshold:g}": mean for threshold, mean in zip(thresholds, means, strict=True)}


def _face_metrics(samples: KeypointSamples, keypoints: np.ndarray) -> dict[str, float]:
    predicted, true = np.asarray(keypoints)[..., :2], samples.keypoints
    units = {
        "NME": lengths(samples),
        "NME sqrt(wh)": landmark_box_sizes(true),
        "NME sqrt(box)": box_area_sizes(samples.boxes_xyxy),
    }
    errors = {
        name: nme(predicted, true[..., :2], sizes, true[..., 2]) for name, sizes in units.items()
    }
    means = {name: mean_error(own, samples.image_index) for name, own in errors.items()}
    metrics = {"NME": means.pop("NME")}
    for name, metric in (("failure", failure_rate), ("AUC", cumulative_auc)):
        for threshold in FAILURE_THRESHOLDS:
            metrics[f"{name}@{threshold:g}"] = metric(errors["NME"], threshold)
    return metrics | means


def _mean_pck(
    samples: KeypointSamples,
    keypoints: np.ndarray,
    sizes: np.ndarray,
    thresholds: Sequence[float],
    excluded: Sequence[int] = (),
) -> list[float]:
    true = samples.keypoints
    predicted = np.asarray(keypoints)[..., :2]
    shares, counts = pck(predicted, true[..., :2], true[..., 2], sizes, thresholds)
    return mean_pck(shares, counts, excluded).tolist()


def _distances(samples: KeypointSamples, keypoints: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    true = samples.keypoints
    return normalised_distances(np.asarray(keypoints)[..., :2], true[..., :2], true[..., 2], sizes)


def _uncounted(samples: KeypointSamples) -> list[int]:
    """The keypoints that the protocol's mean leaves out."""
    if samples.protocol != "pckh":
        return []
    return [
        i for i, name in enumerate(samples.schema.names) if plain_name(name) in UNCOUNTED_JOINTS
    ]


def _table_thresholds(protocol: Protocol) -> tuple[float, ...]:
    if protocol == "pckh":
        return PCKH_THRESHOLDS
    return () if protocol.startswith("nme") else TORSO_THRESHOLDS


def _find_sides(schema: KeypointSchema, parts: Sequence[str]) -> tuple[int, int] | None:
    """The indices of the right and the left one of a pair of points."""
    right = _find(schema, ("right", "r"), parts)
    left = _find(schema, ("left", "l"), parts)
    return None if left is None or right is None else (right, left)


def _find(schema: KeypointSchema, sides: Sequence[str], parts: Sequence[str]) -> int | None:
    """The index of the first keypoint named by a side and a part, in either order."""
    plain = [plain_name(name) for name in schema.names]
    for part in parts:
        for side in sides:
            for name in (side + part, part + side):
                if name in plain:
                    return plain.index(name)
    return None
