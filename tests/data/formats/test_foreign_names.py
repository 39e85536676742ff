"""Names in the files of every reader that command a terminal or forge a line: none gets through."""

import json
import re

import numpy as np
import pytest
from campaign import annotation_files
from campaign.annotation_files import FACE_NAMES, FORMATS, NAMES, write_all
from campaign.mutations import mutate

from kptkit import images
from kptkit.errors import InputError
from kptkit.inspect.check import check_annotations

EVIL = ["\x1b[31m", "\x9b31m", "\r", "\n", "\u202e", "\u2028", "\x07"]

# How the file of a format is written anew; the others name no pictures and hold no other text.
BUILDERS = {
    "coco.json": lambda: annotation_files.coco(6, NAMES),
    "valid.json": lambda: annotation_files.mpii_json(),
    "mpii.mat": lambda: annotation_files.mpii_mat(),
    "flic.mat": lambda: annotation_files.flic_mat(),
    "flic-observer.mat": lambda: annotation_files.flic_mat(),
    "lsp.json": lambda: annotation_files.lsp_json(),
    "300w.json": lambda: annotation_files.coco(68),
    "wflw.txt": lambda: annotation_files.wflw_txt(),
    "wflw.json": lambda: annotation_files.coco(98),
    "cofw.json": lambda: annotation_files.coco(29),
    "dlib.xml": lambda: annotation_files.dlib_xml(),
    "facepoint.txt": lambda: annotation_files.point_list("facepoint"),
    "mtfl.txt": lambda: annotation_files.point_list("mtfl"),
    "retinaface.txt": lambda: annotation_files.point_list("retinaface"),
    "faces.json": lambda: annotation_files.coco(5, FACE_NAMES),
    "boxes.json": lambda: annotation_files.boxes_json(),
    "coco-boxes.json": lambda: annotation_files.coco(6, NAMES),
    "wider.txt": lambda: FORMATS["wider.txt"].content.replace(b"1.png", named(0).encode()),
    "300w.txt": lambda: f"{named(0)}.pts\n2.pts".encode(),
}


def named(number):
    return annotation_files.picture(number)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_all(folder)
    return folder


def assert_lines(lines):
    for line in lines:
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
@pytest.mark.parametrize("name", BUILDERS)
def test_names_of_pictures(monkeypatch, pictures, tmp_path, capsys, name, evil):
    """In a file that is sound otherwise, and in twenty that are spoilt."""
    monkeypatch.setattr(annotation_files, "picture", lambda n: f"{n % 2 + 1}{evil}.png")
    rng = np.random.default_rng(len(name))
    content = BUILDERS[name]()
    assert content != FORMATS[name].content
    said = []
    for bad in (content, *(mutate(name, content, rng) for _ in range(20))):
        path = tmp_path / name
        path.write_bytes(bad)
        if "gt_valid.mat" in FORMATS[name].beside:
            (tmp_path / "gt_valid.mat").write_bytes(FORMATS["gt_valid.mat"].content)
        try:
            FORMATS[name].read(path, pictures, said.append)
        except InputError as error:
            said.append(str(error))
    printed = capsys.readouterr()
    assert_lines([*said, *printed.out.split("\n"), *printed.err.split("\n")])


def coco_with(place, evil):
    """A COCO file with such a text at a place, and pictures that are there."""
    document = json.loads(annotation_files.coco(6, NAMES))
    category, image = document["categories"][0], document["images"][0]
    if place == "keypoint":
        category["keypoints"][0] = f"no{evil}se"
    elif place == "category":
        document["categories"].append(category | {"id": 2, "name": f"per{evil}son"})
    elif place == "key":
        image[f"wi{evil}dth"] = image.pop("width")
    elif place == "value":
        image["width"] = evil
    else:
        image["file_name"] = f"1{evil}.png"
    return json.dumps(document)


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
@pytest.mark.parametrize("place", ["keypoint", "category", "key", "value", "picture"])
def test_other_texts_of_a_check(pictures, tmp_path, capsys, place, evil):
    """What kptkit data check prints, with and without pictures."""
    path = tmp_path / "coco.json"
    path.write_text(coco_with(place, evil))
    for folder in (None, pictures):
        sheet = tmp_path / "sheet.png"
        said = ""
        try:
            check_annotations(path, folder, "coco", None, "auto", decode=True, sheet=sheet)
        except InputError as error:
            said = str(error)
        printed = capsys.readouterr()
        assert said or printed.out
        bars = re.sub(r"\rdecoding pictures: [ -~█▏▎▍▌▋▊▉]*", "", printed.err)
        assert_lines([said, *printed.out.split("\n"), *bars.split("\n")])


def test_a_picture_by_such_a_name_is_read(tmp_path):
    """They are names as good as others where the system allows them."""
    path = tmp_path / "1\x1b[31m.png"
    images.write_image(path, np.zeros((2, 3, 3), np.uint8))
    assert images.read_image(path).shape == (2, 3, 3)
    with pytest.raises(images.ImageError) as error:
        images.read_image(f"{path}.none")
    assert "1\\x1b[31m.png.none: no such file" in str(error.value)
