"""Checks an annotation file and its pictures, and reports all faults as text and as a picture."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from kptkit import images
from kptkit.data.formats.document import AnnotationFile, image_wh_of, refuse_faults
from kptkit.data.formats.faults import Fault
from kptkit.data.formats.index import inspect_annotations
from kptkit.data.links import LINK_OUT, lead_out, link_out
from kptkit.data.pose_flags import Format
from kptkit.data.to_samples import keypoint_samples, keypoints_inside, usable_persons
from kptkit.errors import InputError
from kptkit.geometry import boxes
from kptkit.images import drawing
from kptkit.samples import KeypointSamples, Orientation
from kptkit.wording import counted, printable, say

# COCO's small, medium and large, and finer steps: square roots of areas in pixels.
_SIZE_STEPS = (0, 16, 32, 64, 96, 192, 384)
_SHEET_PERSONS = 16
# How many pictures with the same fault are named.
_EXAMPLES = 3


def check_annotations(
    annotations: Path,
    folder: str | os.PathLike | None,
    format: Format,
    category: str | None,
    orientation: Literal["auto"] | Orientation,
    *,
    decode: bool,
    sheet: Path,
) -> None:
    """Prints the report and draws some persons.

    Args:
        folder: of the pictures, see `kptkit.data.links`; None: only the file is checked.
        decode: whether every picture is decoded.
        sheet: the picture to write.

    Raises:
        InputError: the data have errors.
    """
    coco, faults = inspect_annotations(annotations, format, folder, category, orientation)
    num_errors = print_faults(coco, faults)
    print_keypoints(coco)
    print_sizes(coco)
    if folder is not None and decode:
        num_errors += print_picture_faults(coco.annotations["images"], folder)
    if not num_errors or folder is not None:
        num_errors += print_verdict(coco, folder, orientation, sheet)
    if num_errors:
        raise InputError(f"{annotations}: {counted(num_errors, 'error')}, listed above")
    refuse_faults(faults, len(coco.annotations["annotations"]), annotations)
    say(f"{annotations}: fit for training")


def print_verdict(
    coco: AnnotationFile,
    folder: str | os.PathLike | None,
    orientation: Literal["auto"] | Orientation,
    sheet: Path,
) -> int:
    """Says whether training would take the file, by its own code, and draws some persons.

    Without the folder of pictures, only whether there is somebody to train on.

    Returns:
        The number of errors, 0 or 1.
    """
    try:
        if folder is None:
            usable_persons(coco)
            return 0
        samples = keypoint_samples(coco, folder, orientation)
    except InputError as error:
        say(f"error: {error}")
        return 1
    print(f"orientation: {samples.orientation}")
    draw_sheet(samples, sheet)
    return 0


def print_faults(coco: AnnotationFile, faults: Counter[Fault]) -> int:
    """Prints errors, left-out items and notices, in this order; returns the number of errors."""
    for level in ("error", "skip"):
        for fault in faults:
            if fault.level == level:
                say(f"{level}: {coco.path}: {fault}")
    for notice in coco.notices:
        say(f"notice: {notice}")
    return sum(fault.level == "error" for fault in faults)


def print_keypoints(coco: AnnotationFile) -> None:
    """Prints how often each keypoint is labelled, and its flip partner."""
    schema = coco.schema
    annotations = [a for a in coco.annotations["annotations"] if not a["iscrowd"]]
    keypoints = np.array([a["keypoints"] for a in annotations])
    keypoints = keypoints.reshape(-1, schema.num_keypoints, 3)
    labelled = keypoints[..., 2] > 0
    columns = {
        "labelled": labelled,
        "visible": keypoints[..., 2] == 2,
        "hidden": keypoints[..., 2] == 1,
        "outside": labelled & ~keypoints_inside(keypoints, image_wh_of(coco, annotations)),
    }
    print(f"{'keypoint':24}" + "".join(f"{name:>10}" for name in columns) + "  mirrors to")
    for index, name in enumerate(schema.names):
        counts = "".join(f"{column[:, index].sum():>10}" for column in columns.values())
        partner = schema.flip_permutation[index]
        mirror = schema.names[partner] if partner != index else "itself"
        print(f"{name:24}{counts}  {mirror}")


def print_sizes(coco: AnnotationFile) -> None:
    """Prints a histogram of the persons with keypoints by the square root of their box's area."""
    annotations = coco.annotations["annotations"]
    persons = [a["bbox"] for a in annotations if a["num_keypoints"] and not a["iscrowd"]]
    sides = np.sqrt(boxes.area(boxes.from_xywh(np.array(persons))))
    counts, _ = np.histogram(sides, (*_SIZE_STEPS, np.inf))
    shown_ids = {a["image_id"] for a in annotations}
    without = sum(image["id"] not in shown_ids for image in coco.annotations["images"])
    pictures = counted(len(coco.annotations["images"]), "image")
    print(f"{pictures}, {without:,} of them without annotations")
    with_keypoints = counted(len(persons), "person")
    print(
        f"{counted(len(annotations), 'annotation')}, {with_keypoints} with keypoints, by box size:"
    )
    for low, high, count in zip(_SIZE_STEPS, (*_SIZE_STEPS[1:], None), counts, strict=True):
        bar = "#" * round(40 * count / max(1, counts.max()))
        print(f"  {low:>4} to {high or 'more':>4} px {count:>8}  {bar}")


def print_picture_faults(stated: list[dict[str, Any]], folder: str | os.PathLike) -> int:
    """Decodes every picture, prints how many are unusable and why, and returns their number.

    Equal faults are one line, with a few examples: a wrong folder would give thousands.
    """
    paths = [os.path.join(os.fsdecode(folder), image["file_name"]) for image in stated]
    with ThreadPoolExecutor() as pool:
        found = pool.map(picture_fault, stated, paths, lead_out(folder, paths))
        faults = [f for f in tqdm(found, "decoding pictures", len(stated)) if f is not None]
    for reason, count in Counter(reason for reason, _ in faults).items():
        examples = [message for other, message in faults if other == reason][:_EXAMPLES]
        if count == 1:
            say(f"error: {examples[0]}")
            continue
        more = "" if count == len(examples) else ", such as"
        say(f"error: {counted(count, 'picture')} {reason}{more}:")
        for message in examples:
            say(f"    {message}")
    return len(faults)


def picture_fault(stated: dict[str, Any], path: str, leads_out: bool) -> tuple[str, str] | None:
    """The reason in a few words and the fault of a picture or of its stated size; None: sound.

    Args:
        leads_out: whether the path leads out of its folder: then it is not opened.
    """
    if leads_out:
        return LINK_OUT, str(link_out(path))
    try:
        content = images.read_bytes(path)
    except images.ImageError as error:
        return error.reason, str(error)
    try:
        images.decode_image(content)
    except images.ImageError as error:
        return error.reason, f"{printable(path)}: {error}"
    header = images.read_header(content)
    width, height = header.size_wh
    if (stated["width"], stated["height"]) in (header.size_wh, header.upright_wh):
        return None
    return (
        "of another size than stated",
        f"{printable(path)}: {width}x{height} pixels, but the annotations (image id "
        f"{stated['id']}) say {stated['width']}x{stated['height']}",
    )


def draw_sheet(samples: KeypointSamples, path: Path) -> None:
    """Writes a sheet of random persons with keypoints; always the same for the same data."""
    order = np.random.default_rng(0).permutation(len(samples))[:_SHEET_PERSONS]
    pictures, captions = [], []
    for index in order:
        number = samples.image_index[index]
        try:
            image = images.read_image(samples.image_paths[number], samples.orientation)
        except images.ImageError:
            continue  # listed among the pictures' faults
        drawn = drawing.draw_skeleton(image, samples.keypoints[index][None], samples.schema)
        left, top, right, bottom = samples.boxes_xyxy[index]
        margin = 0.15 * max(right - left, bottom - top)
        low_x, low_y = max(0, int(left - margin)), max(0, int(top - margin))
        pictures.append(drawn[low_y : int(bottom + margin) + 1, low_x : int(right + margin) + 1])
        captions.append(f"id {samples.sample_ids[index]}")
    if pictures:
        images.write_image(path, drawing.contact_sheet(pictures, 8, (192, 256), captions))
        shown = counted(len(pictures), "person")
        print(f"{path}: {shown} to look at; do the sides have their colours?")
