import contextlib
import dataclasses
import io
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kptkit.data.formats.coco import load_coco
from kptkit.demo import dataset
from kptkit.demo.canvas import NOBODY, Canvas
from kptkit.demo.dataset import draw_scene, write_demo_data
from kptkit.demo.look import BALD, plain, sample_look
from kptkit.demo.person import PARTS, Person, draw_person, visible_keypoints
from kptkit.demo.pose import rotation, sample_pose
from kptkit.errors import InputError
from kptkit.images.codec import read_image
from kptkit.skeletons.known import COCO_17

TRAIN, VAL = 40, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_demo_data(tmp_path_factory.mktemp("demo") / "set", TRAIN, VAL, seed=3, workers=2)


def split_content(folder, split):
    return json.loads((folder / f"annotations/person_keypoints_{split}.json").read_text())


def make_canvas():
    return Canvas(np.full((240, 320, 3), 90, np.uint8), np.array([0.0, 0.0, -1.0]), 0.5)


def make_person(number, seed, x, z, scale=170.0):
    rng = np.random.default_rng(seed)
    return Person(number, sample_pose(rng), sample_look(rng), scale, np.array([x, 120.0, z]))


def mask_of(canvas, person):
    return canvas.owner // len(PARTS) == person.number


# Scenes


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_same_seed_same_scene(seed):
    first, second = (draw_scene(np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    for one, other in zip(first.people, second.people, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        assert one.box_xywh == other.box_xywh
    assert not np.array_equal(
        first.image[:9, :9], draw_scene(np.random.default_rng(9)).image[:9, :9]
    )


def test_labels_keep_coco_rules():
    for seed in range(30):
        scene = draw_scene(np.random.default_rng([1, seed]))
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert len(scene.people) <= 5
        for person in scene.people:
            x, y, w, h = person.box_xywh
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
            assert 0 < person.area <= w * h
            for px, py, visibility in person.keypoints:
                assert visibility in (0, 1, 2)
                if visibility == 0:
                    assert px == py == 0
                else:
                    assert -0.5 <= px < width - 0.5
                    assert -0.5 <= py < height - 0.5
                if visibility == 2:  # its pixel shows the person, so it is inside the box
                    assert x - 0.5 <= px < x + w - 0.5
                    assert y - 0.5 <= py < y + h - 0.5


def test_faces_lie_on_the_face_keypoints():
    num_faces = 0
    for seed in range(30):
        for person in draw_scene(np.random.default_rng([2, seed])).people:
            if person.face is None or not person.keypoints.any():
                continue
            num_faces += 1
            nose, left_eye, right_eye = person.keypoints[:3]
            for landmark, keypoint in zip((0, 1, 2), (right_eye, left_eye, nose), strict=True):
                if keypoint[2]:
                    np.testing.assert_allclose(person.face.landmarks_xy[landmark], keypoint[:2])
            if person.face.hidden == 0 and not person.face.oblique:
                x, y, w, h = person.face.box_xywh
                inside = (person.face.landmarks_xy > (x, y)) & (
                    person.face.landmarks_xy < (x + w, y + h)
                )
                assert inside.all()
    assert num_faces > 15


# Bodies


def test_rotation_turns_by_the_right_hand():
    np.testing.assert_allclose(rotation(0, 90) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation(1, 90) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation(2, 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_limbs_have_one_length_and_left_is_where_it_belongs():
    views = {"front": 0, "back": 0, "side": 0}
    for seed in range(200):
        pose = sample_pose(np.random.default_rng([3, seed]))
        assert np.linalg.det(pose.trunk) == pytest.approx(1)
        for side in ("left", "right"):
            upper_arm = pose.points[f"{side}_elbow"] - pose.points[f"{side}_shoulder"]
            shin = pose.points[f"{side}_ankle"] - pose.points[f"{side}_knee"]
            assert np.linalg.norm(upper_arm) == pytest.approx(0.165)
            assert np.linalg.norm(shin) == pytest.approx(0.225)
        across = (pose.points["left_shoulder"] - pose.points["right_shoulder"])[0]
        upright = pose.trunk[1, 1] < -0.8
        towards_camera = -pose.trunk[2, 2]
        view = "front" if towards_camera > 0.8 else "back" if towards_camera < -0.8 else "side"
        views[view] += 1
        if upright and view == "front":
            assert across > 0
        if upright and view == "back":
            assert across < 0
    assert views["front"] > views["back"] > 30
    assert views["side"] > 30


# Visibility


@pytest.mark.parametrize("seed", range(6))
def test_visibility_in_front_of_and_behind_another_person(seed):
    far, near = make_person(0, seed, 150, 8000), make_person(1, seed + 50, 175, 4000)
    alone, near_alone, both = make_canvas(), make_canvas(), make_canvas()
    draw_person(alone, far)
    draw_person(near_alone, near)
    draw_person(both, near)  # first, although it is nearer: depth decides, not the order
    draw_person(both, far)
    before = visible_keypoints(alone, far)
    expected = before.copy()
    hides = near_alone.owner != NOBODY
    for keypoint in expected:
        column, row = np.floor(keypoint[:2] + 0.5).astype(int)
        if hides[row, column]:
            keypoint[2] = min(keypoint[2], 1)
    assert (before[:, 2] == 2).sum() > 8
    assert (expected != before).any()
    np.testing.assert_array_equal(visible_keypoints(both, far), expected)
    np.testing.assert_array_equal(
        visible_keypoints(both, near), visible_keypoints(near_alone, near)
    )
    np.testing.assert_array_equal(mask_of(both, far), mask_of(alone, far) & ~hides)


@pytest.mark.parametrize(("z", "seen"), [(9000, True), (100, False)])
def test_visibility_with_an_object(z, seen):
    person = make_person(0, 4, 160, 4000)
    canvas = make_canvas()
    draw_person(canvas, person)
    before = visible_keypoints(canvas, person)
    middle = np.array([160.0, 120.0, z])
    canvas.limb(middle, middle, (500, 0, 500), plain(np.full((3, 1, 1), 9.0)), NOBODY)
    after = visible_keypoints(canvas, person)
    assert (before[:, 2] == 2).any()
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert (after[:, 2] == 2).any() == seen
    if not seen:
        np.testing.assert_array_equal(after[:, 2], np.minimum(before[:, 2], 1))


def test_keypoints_outside_are_zero():
    person = make_person(0, 4, 319, 4000)
    canvas = make_canvas()
    draw_person(canvas, person)
    truth, keypoints = person.keypoints_xyz()[5:], visible_keypoints(canvas, person)[5:]
    outside = truth[:, 0] >= 319.5
    assert 0 < outside.sum() < 12
    assert (keypoints[outside] == 0).all()
    np.testing.assert_allclose(keypoints[~outside, :2], truth[~outside, :2])


def test_anything_just_in_front_hides():
    person = make_person(0, 4, 160, 4000)
    canvas = make_canvas()
    draw_person(canvas, person)
    before = visible_keypoints(canvas, person)
    for x, y in before[before[:, 2] == 2, :2]:
        surface = canvas.depth[int(y + 0.5), int(x + 0.5)]
        dot = np.array([x, y, surface + 1])
        canvas.limb(dot, dot, (2, 0, 2), plain(np.full((3, 1, 1), 9.0)), NOBODY)
    assert (before[:, 2] == 2).sum() > 8
    after = visible_keypoints(canvas, person)
    np.testing.assert_array_equal(after[:, 2], np.minimum(before[:, 2], 1))


@pytest.mark.parametrize(
    ("degrees", "hidden", "shown"),
    [
        (0, (), ("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder")),
        (90, ("right_eye", "right_ear", "right_shoulder", "right_hip"), ("nose", "left_ear")),
        (180, ("nose", "left_eye", "right_eye"), ("left_ear", "right_shoulder")),
        (-90, ("left_eye", "left_ear", "left_shoulder", "left_hip"), ("nose", "right_ear")),
    ],
)
def test_bodies_hide_their_far_side(degrees, hidden, shown):
    """A bald person with the arms out of the way, turned by `degrees`; 90 shows the left side."""
    person = make_person(0, 4, 160, 4000)
    upright = np.diag([1.0, -1.0, -1.0])
    straighten = upright @ rotation(1, -degrees) @ np.linalg.inv(person.pose.trunk)
    points = {name: straighten @ point for name, point in person.pose.points.items()}
    for name in points:
        if name.endswith(("elbow", "wrist", "hand")):
            points[name] = points[name.partition("_")[0] + "_shoulder"] + [0, -0.1, 0]
    facing = upright @ rotation(1, -degrees)
    pose = dataclasses.replace(person.pose, points=points, trunk=facing, skull=facing)
    look = dataclasses.replace(person.look, hair_style=BALD)
    person = dataclasses.replace(person, pose=pose, look=look)
    canvas = make_canvas()
    draw_person(canvas, person)
    visibility = dict(zip(COCO_17.names, visible_keypoints(canvas, person)[:, 2], strict=True))
    for name in hidden:  # keypoints that the head itself hides are unlabelled
        assert visibility[name] == (0 if name in COCO_17.names[:5] else 1), name
    assert {name: visibility[name] for name in shown} == dict.fromkeys(shown, 2)


# Files


def test_other_workers_same_bytes(folder, tmp_path):
    again = write_demo_data(tmp_path / "again", TRAIN, VAL, seed=3, workers=1)
    names = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert len(names) == TRAIN + VAL + 7
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_finished_set_is_left_alone(folder):
    stamps = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_demo_data(folder, TRAIN, VAL, seed=3) == folder
    assert stamps == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_images": TRAIN, "val_images": VAL, "seed": 4}, "seed 3, expected 4"),
        ({"train_images": TRAIN + 1, "val_images": VAL, "seed": 3}, "images"),
    ],
)
def test_other_set_is_refused(folder, arguments, message):
    with pytest.raises(InputError, match=message):
        write_demo_data(folder, **arguments)


def test_two_processes_draw_the_same_set(folder, tmp_path, monkeypatch):
    draw_scenes = dataset._draw_scenes

    def be_overtaken(*arguments):
        scenes = draw_scenes(*arguments)
        shutil.copytree(folder, tmp_path / "set")
        return scenes

    monkeypatch.setattr(dataset, "_draw_scenes", be_overtaken)
    assert write_demo_data(tmp_path / "set", TRAIN, VAL, seed=3) == tmp_path / "set"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_modules_of_the_current_folder_are_not_imported(tmp_path, monkeypatch):
    for name in ("cv2", "numpy", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert write_demo_data(tmp_path / "demo", 2, 1, workers=1).is_dir()


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_killed_worker_is_one_line(tmp_path, monkeypatch, seconds):
    """Before its first scene, or in the middle."""
    start = subprocess.Popen

    def start_and_kill(*arguments, **settings):
        process = start(*arguments, **settings)
        threading.Timer(seconds, process.kill).start()
        return process

    monkeypatch.setattr(subprocess, "Popen", start_and_kill)
    with pytest.raises(
        InputError, match=r"ended before scene \d+, possibly because memory ran out"
    ):
        write_demo_data(tmp_path / "demo", 500, 1, workers=2)
    assert list(tmp_path.iterdir()) == []


def test_unusable_arguments(tmp_path):
    with pytest.raises(InputError, match="exists and is not a demo set"):
        write_demo_data(tmp_path, 1, 1)
    with pytest.raises(InputError, match="val_images: -1"):
        write_demo_data(tmp_path / "set", 1, -1)
    with pytest.raises(InputError, match="workers: 0"):
        write_demo_data(tmp_path / "set", 1, 1, workers=0)
    assert list(tmp_path.iterdir()) == []


def test_empty_set(tmp_path):
    folder = write_demo_data(tmp_path / "set", 0, 0)
    assert split_content(folder, "train")["images"] == []
    assert (folder / "annotations/wider_face_val_bbx_gt.txt").read_text() == ""


@pytest.mark.parametrize(("split", "count"), [("train", TRAIN), ("val", VAL)])
def test_coco_json(folder, split, count):
    path = folder / f"annotations/person_keypoints_{split}.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert len(coco.imgs) == count
    assert coco.cats[1]["keypoints"] == list(COCO_17.names)
    assert load_coco(path).notices == ()
    assert load_coco(path).schema == COCO_17
    for annotation in coco.anns.values():
        visibility = annotation["keypoints"][2::3]
        assert annotation["num_keypoints"] == sum(v > 0 for v in visibility)
        assert ("face_box" in annotation) == ("face_landmarks" in annotation)
    for image in coco.imgs.values():
        picture = read_image(folder / "images" / image["file_name"])
        assert picture.shape == (image["height"], image["width"], 3)


def test_no_id_stands_in_both_splits(folder):
    train, val = (split_content(folder, split) for split in ("train", "val"))
    for key in ("images", "annotations"):
        assert not {e["id"] for e in train[key]} & {e["id"] for e in val[key]}


@pytest.mark.parametrize("split", ["train", "val"])
def test_face_files_say_the_same_as_the_json(folder, split):
    content = split_content(folder, split)
    names = {image["id"]: image["file_name"] for image in content["images"]}
    faces = {name: [] for name in names.values()}
    for annotation in content["annotations"]:
        if "face_box" in annotation:
            faces[names[annotation["image_id"]]].append(annotation)
    lines = (folder / f"annotations/wider_face_{split}_bbx_gt.txt").read_text().splitlines()
    read = {}
    while lines:
        name, count = lines.pop(0), int(lines.pop(0))
        read[name] = [[int(n) for n in lines.pop(0).split()] for _ in range(max(count, 1))]
        assert all(len(numbers) == 10 for numbers in read[name])
        if count == 0:
            assert read.pop(name) == [[0] * 10]
            read[name] = []
    assert list(read) == list(faces)
    for name, annotations in faces.items():
        for numbers, annotation in zip(read[name], annotations, strict=True):
            np.testing.assert_allclose(numbers[:4], annotation["face_box"], atol=0.5)
    text = (folder / f"annotations/face_landmarks_{split}.txt").read_text()
    flat = [annotation for annotations in faces.values() for annotation in annotations]
    assert len(flat) > 5
    for line, annotation in zip(text.splitlines(), flat, strict=True):
        x1, x2, y1, y2, *points = map(float, line.split()[1:])
        box = (x1, y1, x2 - x1, y2 - y1)
        np.testing.assert_allclose(box, annotation["face_box"], atol=0.011)
        np.testing.assert_allclose(points, np.ravel(annotation["face_landmarks"]))


def test_mean_pose_fails(folder):
    train, val = (split_content(folder, split)["annotations"] for split in ("train", "val"))
    keypoints = np.array([a["keypoints"] for a in train]).reshape(-1, 17, 3)
    boxes = np.array([a["bbox"] for a in train])[:, None]
    relative = (keypoints[..., :2] - boxes[..., :2]) / boxes[..., 2:]
    labelled = np.broadcast_to(keypoints[..., 2:] > 0, relative.shape)
    mean = np.mean(relative, axis=0, where=labelled)
    results = []
    for annotation in val:
        x, y, w, h = annotation["bbox"]
        guess = np.column_stack([mean * (w, h) + (x, y), np.ones(17)]).ravel().tolist()
        entry = {"image_id": annotation["image_id"], "category_id": 1, "score": 1.0}
        results.append(entry | {"keypoints": guess})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations/person_keypoints_val.json"))
        judge = COCOeval(truth, truth.loadRes(results), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judge.stats[0] < 0.05


def test_drawing_needs_no_tensorflow():
    code = "import kptkit.demo.dataset, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_command(tmp_path):
    script = Path(__file__).parents[2] / "data_prep/make_demo_data.py"
    command = [sys.executable, script, "--out", "set", "--train-images", "2", "--val-images", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "set: 2 training scenes" in done.stdout
    assert "--data.images set/images" in done.stdout
    preview = cv2.imdecode(np.fromfile(tmp_path / "set/preview.jpg", np.uint8), cv2.IMREAD_COLOR)
    assert preview.std() > 10
    refused = subprocess.run(
        [*command, "--seed", "1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "seed 0, expected 1" in refused.stderr
