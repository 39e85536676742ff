"""Small sound files of every format of annotations, on two pictures of 100x80 pixels.

MATLAB files are not compressed: damage of a compressed one is nearly always found by its checksum.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from support.mat_structs import mat_bytes, struct_array

from kptkit import images
from kptkit.data.faces.five_points import read_face_points
from kptkit.data.faces.wider import read_wider
from kptkit.data.formats.flic import PLACES
from kptkit.data.formats.index import load_annotations
from kptkit.data.formats.named_boxes import NamedBoxes
from kptkit.data.to_samples import detection_samples, keypoint_samples
from kptkit.samples import FaceSamples, KeypointSamples

WH = (100, 80)
PEOPLE = 6
Samples = KeypointSamples | FaceSamples | dict[str, np.ndarray]
Reader = Callable[[Path, Path, Callable[[str], None]], Samples]


@dataclass(frozen=True)
class Format:
    """A sound file, how it is read, and the files that must lie beside it."""

    read: Reader
    content: bytes
    beside: tuple[str, ...] = ()


def pose(name: str) -> Reader:
    """The reader of a format of persons or faces, as training and evaluation call it."""

    def read(path: Path, pictures: Path, report: Callable[[str], None]) -> Samples:
        file = load_annotations(path, name, pictures)
        for notice in file.notices:
            report(notice)
        return keypoint_samples(file, pictures, report=report)

    return read


def _detections(path: Path, pictures: Path, report: Callable[[str], None]) -> Samples:
    truth = load_annotations(path.with_name("coco.json"), "coco", pictures)
    return detection_samples(truth, path, pictures, report=report)


def _named_boxes(path: Path, pictures: Path, report: Callable[[str], None]) -> Samples:
    boxes, names = NamedBoxes(path), [picture(0), picture(1)]
    boxes.check_pictures(names)
    for reason in boxes.left_out:
        report(reason)
    return {name: boxes.of(name) for name in names}


def spread(count: int, number: int) -> np.ndarray:
    """Points (count, 2) of person `number`, all different, inside the pictures."""
    rng = np.random.default_rng(number)
    return np.round(rng.uniform((5, 5), (95, 75), (count, 2)), 1)


def picture(number: int) -> str:
    return f"{number % 2 + 1}.png"


def coco(num_keypoints: int, names: list[str] | None = None) -> bytes:
    """A COCO document of six persons; the last is a crowd."""
    persons = []
    for number in range(PEOPLE):
        points = spread(num_keypoints, number)
        if names and len(names) == 5:
            points = np.array([[20, 20], [60, 20], [40, 40], [25, 60], [55, 60]]) + number
        low, high = points.min(axis=0), points.max(axis=0)
        persons.append(
            {
                "id": number + 10,
                "image_id": number % 2 + 1,
                "category_id": 1,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": float(np.prod(high - low) / 2),
                "iscrowd": int(number == PEOPLE - 1),
                "num_keypoints": num_keypoints,
                "keypoints": np.column_stack([points, np.full(num_keypoints, 2)]).ravel().tolist(),
            }
        )
    category: dict[str, Any] = {"id": 1, "name": "person"}
    category |= {"keypoints": names or [], "skeleton": [[1, 2]]}
    return json.dumps(
        {
            "images": [
                {"id": n + 1, "file_name": picture(n), "width": WH[0], "height": WH[1]}
                for n in range(2)
            ],
            "annotations": persons,
            "categories": [category if names else {"id": 1, "name": "face", "keypoints": ["x"]}],
        }
    ).encode()


def mpii_json() -> bytes:
    return json.dumps(
        [
            {
                "image": picture(n),
                "center": [50.0, 40.0],
                "scale": 0.5,
                "joints": spread(16, n).tolist(),
                "joints_vis": [0] + [1] * 15,
            }
            for n in range(PEOPLE)
        ]
    ).encode()


def mpii_mat() -> bytes:
    frames = []
    for n in range(PEOPLE):
        joints = [
            {"id": k, "x": x, "y": y, "is_visible": k % 2}
            for k, (x, y) in enumerate(spread(16, n).tolist())
        ]
        person = {
            "x1": 10.0,
            "y1": 20.0,
            "x2": 40.0,
            "y2": 60.0,
            "scale": 0.5,
            "objpos": struct_array({"x": 50.0, "y": 40.0}),
            "annopoints": struct_array({"point": struct_array(*joints)}),
        }
        frames.append(
            {"image": struct_array({"name": picture(n)}), "annorect": struct_array(person)}
        )
    return mat_bytes(
        compress=False, RELEASE=struct_array({"annolist": struct_array(*frames), "version": 12})
    )


def heads_mat() -> bytes:
    truth = np.stack([spread(16, n) for n in range(PEOPLE)], axis=-1)
    corners = np.stack([np.array([[10, 20], [40, 60]])] * PEOPLE, axis=-1).astype(float)
    return mat_bytes(compress=False, headboxes_src=corners, pos_gt_src=truth)


def flic_mat() -> bytes:
    examples = []
    for n in range(PEOPLE):
        coords = np.full((2, 29), np.nan)
        coords[:, PLACES] = spread(11, n).T
        coords[0, 0], coords[0, 3] = 60, 30
        examples.append(
            {
                "moviename": "movie",
                "coords": coords,
                "filepath": picture(n),
                "imgdims": [WH[1], WH[0], 3],
                "currframe": 10,
                "istrain": True,
                "istest": False,
                "torsobox": [30.0, 20.0, 60.0, 70.0],
            }
        )
    return mat_bytes(compress=False, examples=struct_array(*examples))


def lsp_mat() -> bytes:
    joints = [np.column_stack([spread(14, n), [1] * 13 + [0]]) for n in range(2)]
    return mat_bytes(compress=False, joints=np.stack(joints, axis=-1).transpose(1, 0, 2))


def lsp_json() -> bytes:
    joints = [np.column_stack([spread(14, n), [1] * 13 + [0]]).tolist() for n in range(PEOPLE)]
    return json.dumps([{"image": picture(n), "joints": j} for n, j in enumerate(joints)]).encode()


def dlib_xml() -> bytes:
    lines = ["<?xml version='1.0'?>", "<dataset><images>"]
    for n in range(2):
        lines.append(f"<image file='{picture(n)}' width='{WH[0]}' height='{WH[1]}'>")
        for face in range(2):
            lines.append("<box top='9' left='9' width='60' height='60'>")
            for k, (x, y) in enumerate(spread(68, n + face).tolist()):
                lines.append(f"<part name='{k:02d}' x='{x:g}' y='{y:g}'/>")
            lines.append("</box>")
        lines.append("</image>")
    return "\n".join([*lines, "</images></dataset>"]).encode()


def pts(number: int) -> bytes:
    lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in spread(68, number).tolist()]
    return "\n".join(["version: 1", "n_points: 68", "{", *lines, "}", ""]).encode()


def _w300_points(path: Path, pictures: Path, report: Callable[[str], None]) -> Samples:
    """Reads the .pts file at `path`, which lies beside its picture and a list that names it."""
    return pose("300w")(path.with_name("list.txt"), path.parent, report)


def wflw_txt() -> bytes:
    lines = []
    for n in range(PEOPLE):
        numbers = [f"{value:.4f}" for value in spread(98, n).ravel()]
        lines.append(
            " ".join([*numbers, *["9", "9", "80", "75", "0", "1", "0", "1", "0", "0"], picture(n)])
        )
    return "\n".join(lines).encode()


def five_points(number: int) -> np.ndarray:
    return np.array([[20, 20], [60, 20], [40, 40], [25, 60], [55, 60]], float) + number


def wider_txt() -> bytes:
    faces = "\n3\n10 10 30 40 0 0 0 0 0 0\n50 20 20 30 1 0 0 1 0 0\n5 5 90 70 0 0 0 0 0 0\n"
    return f"1.png{faces}2.png\n0\n0 0 0 0 0 0 0 0 0 0\n".encode()


def point_list(kind: str) -> bytes:
    lines = []
    for n in range(PEOPLE):
        points = five_points(n)
        if kind == "facepoint":
            lines.append(f"{picture(n)} 5 90 5 75 " + " ".join(map(str, points.ravel())))
        elif kind == "mtfl":
            lines.append(f"{picture(n)} " + " ".join(map(str, points.T.ravel())) + " 1 2 1 3")
        else:
            triples = " ".join(f"{x} {y} 0.0" for x, y in points.tolist())
            lines += [f"# {picture(n)}"] * (n < 2) + [f"5 5 85 70 {triples} 0.8"]
    return "\n".join(lines).encode()


def boxes_json() -> bytes:
    return json.dumps(
        [{"file_name": picture(n), "bbox": [10, 20, 30 + n, 40]} for n in range(PEOPLE)]
    ).encode()


def detections_json() -> bytes:
    return json.dumps(
        [
            {"image_id": n % 2 + 1, "category_id": 1, "bbox": [9.5, 8, 30 + n, 40], "score": 0.5}
            for n in range(PEOPLE)
        ]
    ).encode()


NAMES = ["nose", "left_eye", "right_eye", "left_hip", "right_hip", "left_shoulder"]
FACE_NAMES = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]

FORMATS = {
    "coco.json": Format(pose("coco"), coco(6, NAMES)),
    "valid.json": Format(pose("mpii"), mpii_json(), ("gt_valid.mat",)),
    "gt_valid.mat": Format(
        lambda path, *more: pose("mpii")(path.with_name("valid.json"), *more),
        heads_mat(),
        ("valid.json",),
    ),
    "mpii.mat": Format(pose("mpii"), mpii_mat()),
    "flic.mat": Format(pose("flic"), flic_mat()),
    "flic-observer.mat": Format(pose("flic-observer"), flic_mat()),
    "joints.mat": Format(pose("lsp"), lsp_mat()),
    "lsp.json": Format(pose("lsp"), lsp_json()),
    "300w.json": Format(pose("300w"), coco(68)),
    "300w.txt": Format(pose("300w"), b"1.pts\n./2.pts\n"),
    "1.pts": Format(_w300_points, pts(0), ("list.txt", "1.png")),
    "wflw.txt": Format(pose("wflw"), wflw_txt()),
    "wflw.json": Format(pose("wflw"), coco(98)),
    "cofw.json": Format(pose("cofw"), coco(29)),
    "dlib.xml": Format(pose("dlib"), dlib_xml()),
    "wider.txt": Format(read_wider, wider_txt()),
    "facepoint.txt": Format(read_face_points, point_list("facepoint")),
    "mtfl.txt": Format(read_face_points, point_list("mtfl")),
    "retinaface.txt": Format(read_face_points, point_list("retinaface")),
    "faces.json": Format(read_face_points, coco(5, FACE_NAMES)),
    "detections.json": Format(_detections, detections_json(), ("coco.json",)),
    "boxes.json": Format(_named_boxes, boxes_json()),
    "coco-boxes.json": Format(_named_boxes, coco(6, NAMES)),
    "coco-results.json": Format(_named_boxes, detections_json()),
}


def write_all(folder: Path) -> None:
    """Writes every sound file and the pictures."""
    for number in (1, 2):
        images.write_image(folder / f"{number}.png", np.zeros((WH[1], WH[0], 3), np.uint8))
        images.write_image(folder / f"im{number:04d}.jpg", np.zeros((WH[1], WH[0], 3), np.uint8))
        (folder / f"{number}.pts").write_bytes(pts(number))
    (folder / "list.txt").write_text("1.pts")
    for name, made in FORMATS.items():
        (folder / name).write_bytes(made.content)
