import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kptkit import images

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_data.py"


def annotation(number, **changes):
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "bbox": [10, 10, 30, 40],
        "area": 700,
        "iscrowd": 0,
        "num_keypoints": 2,
        "keypoints": [12, 22, 2, 0, 0, 0, -30, 40, 1],
    } | changes


def check(folder, content, *flags):
    path = folder / "x.json"
    path.write_text(json.dumps(content))
    sheet = ("--sheet", folder / "sheet.png") if "--images" in flags else ()
    command = [sys.executable, SCRIPT, path, *sheet, *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)


@pytest.fixture
def content(tmp_path):
    for number in range(3):
        picture = np.full((80, 100, 3), 40 * number, np.uint8)
        images.write_image(tmp_path / "pictures" / f"{number}.jpg", picture)
    names = ["nose", "left_eye", "right_eye"]
    return {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80}
            for number in range(3)
        ],
        "annotations": [annotation(number) for number in range(2)],
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    }


def test_sound_data_are_counted_and_drawn(tmp_path, content):
    done = check(tmp_path, content, "--images", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["nose", "2", "2", "0", "0", "itself"] in lines
    assert ["left_eye", "0", "0", "0", "0", "right_eye"] in lines
    assert ["right_eye", "2", "0", "2", "2", "left_eye"] in lines
    assert "3 images, 1 of them without annotations" in done.stdout
    assert "orientation: stored" in done.stdout
    assert images.read_image(tmp_path / "sheet.png").shape[2] == 3


def test_every_fault_is_listed(tmp_path, content):
    content["annotations"] += [
        annotation(2, bbox=[1, 2, 3]),
        annotation(3, image_id=77),
        annotation(4, image_id=1, keypoints=[1, 2, 2]),
    ]
    done = check(tmp_path, content)
    assert done.returncode == 2
    assert "annotations[2].bbox (id 2): [1, 2, 3]" in done.stdout
    assert "skip: " in done.stdout
    assert "annotations[3].image_id (id 3): 77" in done.stdout
    assert "annotations[4].keypoints (id 4)" in done.stdout
    assert done.stderr == f"error: {tmp_path}/x.json: 2 errors, listed above\n"
    assert not (tmp_path / "sheet.png").exists()


def test_too_much_to_leave_out_is_not_fit_for_training(tmp_path, content):
    content["annotations"] += [annotation(10 + number, image_id=77) for number in range(11)]
    done = check(tmp_path, content)
    assert done.returncode == 2
    assert done.stdout.count("77; images has no usable picture") == 11 + 1  # and in the notice
    assert "more than 10 and than 1% cannot be used" in done.stderr


def test_nobody_to_train_on_is_said_without_pictures_too(tmp_path, content):
    """Such as a file of crowds: the check said it was fit, and training that nobody is in it."""
    for person in content["annotations"]:
        person["iscrowd"] = 1
    done = check(tmp_path, content)
    assert done.returncode == 2
    assert "no usable person with labelled keypoints: of 2, 0 are single" in done.stdout


@pytest.mark.parametrize(("flag", "found"), [("--decode", True), ("--no-decode", False)])
def test_unusable_pictures_are_listed(tmp_path, content, flag, found):
    whole = tmp_path / "pictures" / "2.jpg"
    whole.write_bytes(whole.read_bytes()[:-20])
    content["images"][0]["width"] = 99
    done = check(tmp_path, content, "--images", tmp_path / "pictures", flag)
    assert done.returncode == 2
    assert ("2.jpg: truncated" in done.stdout) == found
    stated = "0.jpg: 100x80 pixels, but the annotations (image id 0) say 99x80"
    assert (stated in done.stdout) == found
    assert "images (id 0): 99x80 is stated" in done.stdout


def test_pictures_with_the_same_fault_are_counted_on_one_line(tmp_path, content):
    content["images"] = [dict(content["images"][0], id=i, file_name=f"{i}.gif") for i in range(30)]
    done = check(tmp_path, content, "--images", tmp_path / "pictures")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    place = lines.index("error: 30 pictures missing, such as:")
    assert [line.split("/")[-1] for line in lines[place + 1 : place + 4]] == [
        f"{number}.gif: no such file; check the path" for number in range(3)
    ]
    assert len(lines) < 25
    assert "0.gif: missing, as are all 2 pictures of " in done.stdout
    assert done.stderr.endswith(f"\nerror: {tmp_path}/x.json: 31 errors, listed above\n")


def test_a_single_error_is_one_error(tmp_path, content):
    (tmp_path / "pictures" / "2.jpg").unlink()
    done = check(tmp_path, content, "--images", tmp_path / "pictures")
    assert "2 persons of 2 annotations; 2 keypoints lie outside their pictures" in done.stdout
    assert done.stderr.endswith(f"\nerror: {tmp_path}/x.json: 1 error, listed above\n")


@pytest.mark.parametrize("content", [[], {"images": 3}])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    done = check(tmp_path, content)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}/x.json" in done.stderr
