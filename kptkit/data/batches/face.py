"""Batches of mined crops for P-Net, R-Net and O-Net, as tf.data datasets.

Every training batch holds the same number of crops of each kind, in the same rows. The kinds are
interleaved, so that each replica gets an equal share of every kind. Each kind is shuffled again
after every pass over it. The crops of step s and their augmentation are a pure function of
(seed, s), so a run that stops at any step and resumes sees the same batches as without the stop.

A batch is a dict of B rows, S pixels the side of the stage's window:

    image           uint8 (B, S, S, 3) RGB
    is_face         float32 (B,)     1 for positives, otherwise 0
    class_valid     bool (B,)        true for positives and negatives
    box             float32 (B, 4)   `kptkit.geometry.face_windows.box_offsets`, 0 if not valid
    box_valid       bool (B,)        true for positives and parts
    landmark        float32 (B, 10)  `landmark_offsets` (there as well), 0 if not valid
    landmark_valid  bool (B,)        true for landmark crops
    sample_id       int64 (B,)
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kptkit.data.augment.face import Batch, augment
from kptkit.data.augment.settings import FaceAugment
from kptkit.data.batches.shuffle import shuffled
from kptkit.data.mining.crops import CropKind
from kptkit.data.records.crops import CropRecords, parse_crops
from kptkit.errors import InputError

# The order of the kinds in class ratios and counts.
KINDS = (CropKind.NEGATIVE, CropKind.POSITIVE, CropKind.PART, CropKind.LANDMARK)
ClassCounts = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropSet:
    """A subset of the crops of a folder, for training or for evaluation."""

    records: CropRecords
    indices: dict[CropKind, np.ndarray]
    """Which records of each kind belong to the set: (n,) int64."""

    @classmethod
    def whole(cls, records: CropRecords) -> "CropSet":
        """All crops of a folder."""
        return cls(records, {kind: np.arange(records.counts[kind]) for kind in KINDS})

    def __len__(self) -> int:
        return sum(self.counts().values())

    def counts(self) -> dict[CropKind, int]:
        """Number of crops of each kind."""
        return {kind: len(indices) for kind, indices in self.indices.items()}

    def at_most(self, limit: int) -> "CropSet":
        """At most `limit` crops of each kind, evenly spaced over the set."""
        chosen = {}
        for kind, indices in self.indices.items():
            places = np.linspace(0, len(indices) - 1, min(limit, len(indices)))
            chosen[kind] = indices[places.astype(np.int64)]
        return CropSet(self.records, chosen)


def hold_out(records: CropRecords, share: float) -> tuple[CropSet, CropSet]:
    """Splits the crops of a folder into a training set and a held-out set.

    Whole parts of the mined pictures are held out, so that no picture is in both sets (a part has
    one shard of each kind). For each kind, the parts with its last non-empty shards are held out:
    about `share` of these shards, at least one.

    Raises:
        InputError: all crops of some kind would go to one of the two sets.
    """
    sizes = {
        kind: np.array(
            [s["records"] for s in records.manifest["shards"] if s["kind"] == kind.label]
        )
        for kind in KINDS
    }
    held_out: set[int] = set()
    for in_shard in sizes.values():
        filled = np.flatnonzero(in_shard)
        held_out |= set(filled[-max(1, round(share * len(filled))) :].tolist())
    chosen: tuple[dict, dict] = {}, {}
    for kind, in_shard in sizes.items():
        part = np.repeat(np.arange(len(in_shard)), in_shard)
        judged = np.isin(part, list(held_out))
        chosen[0][kind], chosen[1][kind] = np.flatnonzero(~judged), np.flatnonzero(judged)
        if len(part) and (judged.all() or not judged.any()):
            raise InputError(
                f"{records.folder}: {kind.label}: all {len(part)} crops come from too few pictures "
                "to hold some of them out; mine more pictures, or give a second folder as "
                "--data.val"
            )
    return CropSet(records, chosen[0]), CropSet(records, chosen[1])


def batch_counts(batch_size: int, ratio: ClassCounts) -> ClassCounts:
    """Number of crops of each kind in a batch, by the largest remainder method.

    Each kind gets its share rounded down. The remaining places go to the kinds with the largest
    fractions, on a tie to the first. A batch of 384 in the ratio 3:1:1:2 has 164, 55, 55 and 110.

    Raises:
        InputError: a kind in the ratio would get no crop because the batch is too small.
    """
    shares = [batch_size * part / sum(ratio) for part in ratio]
    counts = [int(share) for share in shares]
    by_fraction = sorted(range(4), key=lambda i: counts[i] - shares[i])
    for i in by_fraction[: batch_size - sum(counts)]:
        counts[i] += 1
    if any(part and not count for part, count in zip(ratio, counts, strict=True)):
        raise InputError(
            f"batch_size: {batch_size}; too small for crops of all kinds in the ratio "
            f"{':'.join(map(str, ratio))}"
        )
    negatives, positives, parts, landmarks = counts
    return negatives, positives, parts, landmarks


def check_kinds(crops: CropSet, ratio: ClassCounts) -> None:
    """Checks that there are crops of every kind in the ratio.

    Raises:
        InputError: a kind has no crops.
    """
    for kind, part in zip(KINDS, ratio, strict=True):
        if part and not len(crops.indices[kind]):
            raise InputError(
                f"{crops.records.folder}: {kind.label}: no crops, but the class ratio asks for "
                f"{part} in {sum(ratio)}; mine pictures that give some, or set its part in "
                "--class-ratio to 0"
            )


def face_training_batches(
    crops: CropSet,
    *,
    batch_size: int,
    ratio: ClassCounts,
    augment_by: FaceAugment,
    seed: int,
    start_step: int,
    stop_step: int,
) -> tf.data.Dataset:
    """Augmented training batches, for steps `start_step` to `stop_step` (excluded) of a run.

    Args:
        batch_size: B.
        ratio: of negatives, positives, parts and landmark crops, see `batch_counts`.
        augment_by: how strongly crops vary.
        seed: of the run; it decides the order and the augmentation.

    Raises:
        InputError: a kind in the ratio has no crops, or the batch is too small for the ratio.
    """
    check_kinds(crops, ratio)
    counts = batch_counts(batch_size, ratio)
    used = [(number, kind) for number, kind in enumerate(KINDS) if counts[number]]
    rows = _spread(counts)

    def read(*chosen: np.ndarray) -> np.ndarray:
        serialized = [
            record
            for (_, kind), places in zip(used, chosen, strict=True)
            for record in crops.records.read(kind, crops.indices[kind][places])
        ]
        return np.array(serialized, object)[rows]

    def load(step: tf.Tensor) -> Batch:
        chosen = []
        for number, kind in used:
            count, total = counts[number], len(crops.indices[kind])
            positions = step * count + tf.range(count, dtype=tf.int64)
            chosen.append(shuffled(positions, total, seed, stream=number + 1)[1])
        batch = _parsed(tf.numpy_function(read, chosen, tf.string), batch_size, crops.records.size)
        return augment(batch, augment_by, tf.stack([tf.constant(seed, tf.int64), step]))

    steps = tf.data.Dataset.range(start_step, stop_step)
    loaded = steps.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return loaded.prefetch(tf.data.AUTOTUNE)


def face_evaluation_batches(crops: CropSet, batch_size: int) -> tf.data.Dataset:
    """Every crop once, without augmentation, kind by kind; the last batch may be smaller."""
    kinds = np.repeat(np.arange(4), [len(crops.indices[kind]) for kind in KINDS])
    places = np.concatenate([crops.indices[kind] for kind in KINDS])

    def read(first: int) -> np.ndarray:
        rows = slice(first, first + batch_size)
        serialized = [
            record
            for number, kind in enumerate(KINDS)
            for record in crops.records.read(kind, places[rows][kinds[rows] == number])
        ]
        return np.array(serialized, object)

    def load(first: tf.Tensor) -> Batch:
        return _parsed(tf.numpy_function(read, [first], tf.string), None, crops.records.size)

    return tf.data.Dataset.range(0, len(crops), batch_size).map(load).prefetch(1)


def _spread(counts: ClassCounts) -> np.ndarray:
    """The permutation (B,) that spreads rows sorted by kind evenly over the batch."""
    places = np.concatenate([(np.arange(count) + 0.5) / max(1, count) for count in counts])
    return np.argsort(places, kind="stable")


def _parsed(serialized: tf.Tensor, batch_size: int | None, size: int) -> Batch:
    """Parses serialized crops (B,) into a batch; its fields are listed at the top of this file."""
    crops = parse_crops(tf.ensure_shape(serialized, (batch_size,)), size)
    kind = tf.cast(crops["kind"], tf.int32)
    positive, negative, part, landmark = (
        kind == int(k)
        for k in (CropKind.POSITIVE, CropKind.NEGATIVE, CropKind.PART, CropKind.LANDMARK)
    )
    shows_box = positive | part
    batch = {
        "image": crops["image"],
        "is_face": tf.cast(positive, tf.float32),
        "class_valid": positive | negative,
        "box": tf.where(shows_box[:, None], crops["box"], 0.0),
        "box_valid": shows_box,
        "landmark": tf.where(landmark[:, None], crops["landmark"], 0.0),
        "landmark_valid": landmark,
        "sample_id": crops["sample_id"],
    }
    return {
        name: tf.ensure_shape(value, (batch_size, *value.shape[1:]))
        for name, value in batch.items()
    }
