"""Evaluates pose networks, from flags to tables: the run's own data or others, boxes, results."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from kptkit import files, opener
from kptkit.data.formats.coco import load_coco
from kptkit.data.links import folder_of
from kptkit.data.pose_flags import DataConfig, share_of
from kptkit.data.pose_sets import PoseSet, load_held_out
from kptkit.data.records.sources import ImageSource
from kptkit.data.to_samples import detection_samples
from kptkit.errors import InputError
from kptkit.evaluate.flags import PoseEvaluationConfig
from kptkit.evaluate.pose import OKS_NMS_THRESHOLD, PoseEvaluation, evaluate_pose
from kptkit.metrics import oks, protocols
from kptkit.opener import PoseSource
from kptkit.pose.estimator import PoseEstimator
from kptkit.wording import counted, say


def report_pose(config: PoseEvaluationConfig) -> None:
    """Evaluates, prints tables, and writes `results.json` and `metrics.json`.

    Raises:
        InputError: the run, a file or a flag is unusable.
    """
    source = opener.find(config.run, config.weights, config.network)
    held_out = held_out_data(source, config)
    chosen = {
        name: value
        for name in ("flip_test", "flip_alignment", "decoder")
        if (value := getattr(config, name)) is not None
    }
    recipe = replace(source.recipe, **chosen)
    if config.flip_alignment and not recipe.flip_test:
        raise InputError("--flip-alignment: has no effect without a flip test; give --flip-test")
    estimator = PoseEstimator(opener.build(source, recipe))
    threshold = config.oks_nms
    if threshold is None and config.detections:
        threshold = OKS_NMS_THRESHOLD
    evaluation = evaluate_pose(
        estimator, held_out.source, held_out.truth, oks_nms_threshold=threshold
    )
    print_tables(evaluation, held_out.truth)
    out = config.out or source.folder / "evaluation"
    files.write_json(out / "results.json", evaluation.results)
    finite = {k: v for k, v in evaluation.metrics.items() if np.isfinite(v)}
    files.write_json(out / "metrics.json", finite)
    print(f"written: {out}/results.json, {out}/metrics.json")


def held_out_data(run: PoseSource, config: PoseEvaluationConfig) -> PoseSet:
    """The persons to evaluate on: the run's own data, changed by the command's flags.

    Raises:
        InputError: a file is unusable, or has other keypoints than the run.
    """
    given = {
        field.name: value
        for field in fields(DataConfig)
        if (value := getattr(config.data, field.name)) != field.default
    }
    if "images" in given:
        given.setdefault("val_images", None)
    data = replace(DataConfig(**run.data), **given)
    _check_effect(given, data)
    notices: list[str] = []
    held_out = load_held_out(data, notices)
    for notice in notices:
        say(notice)
    samples = held_out.source.samples
    if samples.schema.names != run.schema.names:
        raise InputError(
            f"{data.val}: keypoints {', '.join(samples.schema.names)}; expected those that "
            f"{config.run} learned: {', '.join(run.schema.names)}"
        )
    if config.detections:
        if samples.protocol != "oks":
            raise InputError(
                f"--detections: {data.val} is judged by {protocols.headline(samples.protocol)[0]}, "
                "person by person; detected boxes are known for COCO's AP only"
            )
        folder = data.val_images or data.images
        if data.val is None or folder is None:
            raise InputError("--detections: expected --data.val Y.json and --data.images beside it")
        coco = load_coco(data.val, category=data.category)
        samples = replace(
            detection_samples(
                coco,
                config.detections,
                folder_of(folder, data.follow_links),
                data.orientation,
            ),
            schema=samples.schema,
        )
    if config.oks_sigmas and samples.protocol != "oks":
        raise InputError(
            f"--oks-sigmas: has no effect: {data.val} is judged by "
            f"{protocols.headline(samples.protocol)[0]}"
        )
    if config.oks_sigmas:
        samples = replace(samples, schema=replace(samples.schema, oks_sigmas=config.oks_sigmas))
    return PoseSet(ImageSource(samples), held_out.truth)


def _check_effect(given: dict[str, Any], data: DataConfig) -> None:
    """Refuses data flags that change nothing in an evaluation.

    Args:
        given: the flags that the command was given, by name.
        data: the same, with those of the run.

    Raises:
        InputError: such a flag was given.
    """
    share = share_of(data.val) is not None
    without_effect = {
        "train": not share and "only --data.val is evaluated",
        "flip_pairs": "the run's own are used",
        "images": bool(given.get("val_images")) and not share and "--data.val-images is given",
        "val_images": share and "the images of a share are --data.images",
    }
    for name in given:
        if given[name] is not None and (why := without_effect.get(name)):
            flag = name.replace("_", "-")
            raise InputError(f"--data.{flag}: has no effect on an evaluation: {why}")


def print_tables(evaluation: PoseEvaluation, truth: dict) -> None:
    """Prints the protocol's table and, with ground-truth boxes, one row per keypoint."""
    samples = evaluation.samples
    kind = "face" if samples.protocol.startswith("nme") else "person"
    print(f"{counted(len(samples), kind)}\n")
    print(protocols.format_table(samples.protocol, evaluation.metrics))
    if not samples.keypoints[..., 2].any():
        return  # detected boxes are not matched to persons
    if samples.protocol != "oks":
        print("\n" + protocols.keypoint_table(samples, evaluation.keypoints))
        return
    areas = {a["id"]: a["area"] for a in truth["annotations"]}
    statistics = oks.per_keypoint(
        evaluation.keypoints,
        samples.keypoints,
        np.array([areas[i] for i in samples.sample_ids.tolist()]),
        samples.schema.oks_sigmas,
    )
    print("\n" + oks.per_keypoint_table(samples.schema.names, statistics))
