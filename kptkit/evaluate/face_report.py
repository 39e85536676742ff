"""Evaluates face detectors, from flags to tables: data, weights, differences with intervals."""

import os
from dataclasses import asdict
from typing import Any

import numpy as np

from kptkit import files
from kptkit.data.faces.lists import demo_lists, load_faces
from kptkit.data.faces.wider_subsets import read_wider_subsets
from kptkit.errors import InputError
from kptkit.evaluate.face import (
    FaceEvaluation,
    box_metrics,
    compare_boxes,
    compare_landmarks,
    evaluate_faces,
    height_subsets,
    landmark_metrics,
)
from kptkit.evaluate.flags import FaceEvaluationConfig
from kptkit.face.detector import FaceDetector
from kptkit.images import drawing
from kptkit.images.codec import read_image
from kptkit.metrics import tables
from kptkit.metrics.bootstrap import Difference
from kptkit.samples import FaceSamples
from kptkit.wording import counted, printable

# The flags that are the detector's settings.
_DETECTOR = ("min_face_size", "scale_factor", "score_thresholds", "max_faces", "max_side")


def report_faces(config: FaceEvaluationConfig) -> None:
    """Evaluates boxes and landmarks, prints tables and writes `metrics.json`.

    Boxes are evaluated on sets that list every face, landmarks on sets that have landmarks.

    Raises:
        InputError: a flag, a file or the weights are unusable.
    """
    if config.compare == config.weights:
        raise InputError(f"--compare {config.compare}: judged already; expected other weights")
    if config.resamples < 1:
        raise InputError(f"--resamples {config.resamples}: expected 1 or more")
    given = config.lists.annotations or config.lists.landmarks
    sets, made_from = load_faces(config.lists if given else demo_lists(split="val"))
    names = [config.weights, *([config.compare] if config.compare else [])]
    settings = {field: getattr(config, field) for field in _DETECTOR}
    detectors = {name: FaceDetector(name, **settings).detect for name in names}
    metrics: dict[str, Any] = {"made_from": made_from, "sets": []}
    for samples in sets:
        found = {name: evaluate_faces(detect, samples) for name, detect in detectors.items()}
        metrics["sets"].append(_finite(_report_set(found, config)))
    files.write_json(config.out / "metrics.json", metrics)
    print(f"written: {config.out / 'metrics.json'}")


def _report_set(found: dict[str, FaceEvaluation], config: FaceEvaluationConfig) -> dict[str, Any]:
    """Prints and returns the metrics of one set of pictures, for each detector by its name."""
    first = next(iter(found.values()))
    paths = first.samples.image_paths
    print(f"{counted(len(paths), 'picture')} of {printable(os.path.commonpath(paths))}")
    if first.skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in first.skipped.items())
        print(f"{sum(first.skipped.values()):,} more could not be used: {reasons}")
    metrics: dict[str, Any] = {"pictures": len(paths)}
    if first.samples.complete:
        metrics["boxes"] = _report_boxes(found, config)
    if np.isfinite(first.samples.landmarks).any():
        metrics["landmarks"] = _report_landmarks(found, config)
    return metrics


def _report_boxes(found: dict[str, FaceEvaluation], config: FaceEvaluationConfig) -> dict[str, Any]:
    samples = next(iter(found.values())).samples
    if config.wider_lists:
        subsets = read_wider_subsets(config.wider_lists, samples)
    else:
        subsets = height_subsets(samples, config.heights)
    metrics: dict[str, Any] = {}
    rows: dict[str, dict[str, float]] = {}
    for name, evaluation in found.items():
        metrics[name] = {key: box_metrics(evaluation, out) for key, out in subsets.items()}
        rows |= {f"{key} {name}": numbers for key, numbers in metrics[name].items()}
    print(f"\n{tables.named_rows(rows)}\n")
    if config.compare:
        first, second = found.values()
        differences = {
            key: compare_boxes(first, second, out, config.resamples) for key, out in subsets.items()
        }
        metrics["difference"] = _report_differences("AP", differences, config)
    return metrics


def _report_landmarks(
    found: dict[str, FaceEvaluation], config: FaceEvaluationConfig
) -> dict[str, Any]:
    metrics: dict[str, Any] = {name: landmark_metrics(each) for name, each in found.items()}
    print(f"\n{tables.named_rows(metrics)}\n")
    if config.compare:
        first, second = found.values()
        differences = compare_landmarks(first, second, config.resamples)
        metrics["difference"] = _report_differences("NME", differences, config)
    return metrics


def _report_differences(
    metric: str, differences: dict[str, Difference], config: FaceEvaluationConfig
) -> dict[str, Any]:
    """Prints differences with their intervals, and returns them for JSON."""
    for name, difference in differences.items():
        print(f"{metric} {name}, {config.weights} less {config.compare}: {difference}")
    print(f"(in brackets: 95 % of {config.resamples} draws of pictures)\n")
    return {name: asdict(difference) for name, difference in differences.items()}


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    """Nested numbers with NaN and infinity removed, for JSON."""
    return {
        name: _finite(value) if isinstance(value, dict) else value
        for name, value in numbers.items()
        if isinstance(value, dict) or np.isfinite(value)
    }


def draw_face_predictions(detector: FaceDetector, samples: FaceSamples) -> np.ndarray:
    """A contact sheet (H, W, 3) uint8 of a dozen pictures with their detected faces."""
    count = len(samples.image_paths)
    pictures = []
    for place in np.unique(np.linspace(0, count - 1, min(count, 12)).astype(int)):
        image = read_image(samples.image_paths[place], samples.orientation)
        faces = detector.detect(image)
        drawn = drawing.draw_faces(image, faces.boxes_xyxy, faces.scores, faces.landmarks)
        pictures.append(drawn)
    return drawing.contact_sheet(pictures, columns=4, cell_wh=(320, 240))
