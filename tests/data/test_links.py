"""Links and names that lead out of a folder of pictures: counted and left out by every reader."""

import os
import shutil

import pytest
from campaign import annotation_files
from campaign.annotation_files import FACE_NAMES, FORMATS, NAMES, write_all

from kptkit import images
from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.lists import load_faces
from kptkit.data.formats.index import load_annotations
from kptkit.data.links import LINK_OUT, folder_of, lead_out
from kptkit.data.to_samples import detection_samples, keypoint_samples
from kptkit.errors import InputError
from kptkit.face.label_pictures import picture_names
from kptkit.inspect.check import check_annotations

pytestmark = pytest.mark.skipif(os.name == "nt", reason="making links needs rights on Windows")


@pytest.fixture
def tree(tmp_path):
    """A folder of pictures with links of every kind, beside the files of somebody else."""
    folder, others = tmp_path / "pictures", tmp_path / "others"
    for place in (folder / "sub", folder / "sub2", others / "deep"):
        place.mkdir(parents=True)
    for file in (folder / "plain.png", folder / "sub/plain.png", others / "secret.png"):
        file.touch()
    (others / "deep/secret.png").touch()
    links = {
        "inside.png": "sub/plain.png",
        "absolute.png": folder / "plain.png",
        "out.png": "../others/secret.png",
        "absolute_out.png": others / "secret.png",
        "dangling.png": "../others/none.png",
        "twice.png": "out.png",
        "back.png": "../pictures/plain.png",
        "device.png": "/dev/zero",
        "loop.png": "loop.png",
        "sub_out": "../others",
        "sub_inside": "sub",
        "deep_out": "../others/deep",
        "self": ".",
        "up": "..",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (tmp_path / "pictures2").mkdir()
    (folder / "prefix.png").symlink_to(tmp_path / "pictures2/x.png")
    (tmp_path / "linked").symlink_to(folder)
    return tmp_path


@pytest.mark.parametrize("folder", ["pictures", "linked", "pictures/", "others/../pictures"])
@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("plain.png", False),
        ("none.png", False),
        ("none/none.png", False),
        ("sub/plain.png", False),
        ("inside.png", False),
        ("absolute.png", False),
        ("back.png", False),
        ("loop.png", False),
        ("sub_inside/plain.png", False),
        ("self/self/plain.png", False),
        ("up/pictures/plain.png", False),
        ("sub/../plain.png", False),
        ("nul\0.png", False),
        ("out.png", True),
        ("absolute_out.png", True),
        ("dangling.png", True),
        ("twice.png", True),
        ("device.png", True),
        ("prefix.png", True),
        ("sub_out/secret.png", True),
        ("sub_out/none.png", True),
        ("sub_inside/../../others/secret.png", True),
        ("deep_out/../secret.png", True),
        ("up/others/secret.png", True),
        ("self/out.png", True),
    ],
)
def test_what_leads_out(tree, folder, name, out):
    path = os.path.join(tree, folder, name)
    assert lead_out(tree / folder, [path]) == [out]
    assert lead_out(folder_of(tree / folder, follow_links=True), [path]) == [False]
    assert lead_out(None, [path]) == [False]


def test_no_pictures_lead_nowhere(tmp_path):
    assert lead_out(tmp_path, []) == []


@pytest.fixture(params=["file", "folder", "device"])
def linked(tmp_path, request):
    """The pictures of the sound files, of which the first, or all in a folder, are links out."""
    sound, folder = tmp_path / "sound", tmp_path / "pictures"
    sound.mkdir()
    write_all(sound)
    shutil.copytree(sound, folder)
    for name in ("1.png", "im0001.jpg"):
        (folder / name).unlink()
        target = "/dev/zero" if request.param == "device" else sound / name
        (folder / name).symlink_to(target)
    if request.param == "folder":  # the pictures are in the folder, but it is not what it seems
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "sub").symlink_to(sound)
    return tmp_path, request.param


POSE = {
    "coco.json": ("coco", lambda: annotation_files.coco(6, NAMES)),
    "valid.json": ("mpii", annotation_files.mpii_json),
    "mpii.mat": ("mpii", annotation_files.mpii_mat),
    "flic.mat": ("flic", annotation_files.flic_mat),
    "flic-observer.mat": ("flic-observer", annotation_files.flic_mat),
    "lsp.json": ("lsp", annotation_files.lsp_json),
    "joints.mat": ("lsp", annotation_files.lsp_mat),
    "300w.json": ("300w", lambda: annotation_files.coco(68)),
    "wflw.txt": ("wflw", annotation_files.wflw_txt),
    "wflw.json": ("wflw", lambda: annotation_files.coco(98)),
    "cofw.json": ("cofw", lambda: annotation_files.coco(29)),
    "dlib.xml": ("dlib", annotation_files.dlib_xml),
}


@pytest.mark.parametrize("name", POSE)
def test_persons_on_links_are_left_out_and_counted(monkeypatch, linked, name):
    root, kind = linked
    way, build = POSE[name]
    if kind == "folder":
        if name == "joints.mat":
            pytest.skip("its pictures have no names, so that they are in no other folder")
        monkeypatch.setattr(annotation_files, "picture", lambda n: f"sub/{n % 2 + 1}.png")
    path = root / name
    path.write_bytes(build())
    (root / "gt_valid.mat").write_bytes(FORMATS["gt_valid.mat"].content)

    def read(folder):
        said = []
        file = load_annotations(path, way, folder)
        said += file.notices
        return keypoint_samples(file, folder, report=said.append), said

    folder = root / "pictures"
    if kind == "folder":
        with pytest.raises(InputError, match=rf"1\.png: {LINK_OUT}"):
            read(folder)
    else:
        samples, said = read(folder)
        assert {os.path.basename(p) for p in samples.image_paths} <= {"2.png", "im0002.jpg"}
        assert any(LINK_OUT in line for line in said)
    if kind != "device":
        samples, said = read(folder_of(folder, follow_links=True))
        assert len(samples.image_paths) == 2
        assert not any(LINK_OUT in line for line in said)


def test_points_are_not_read_through_links(linked):
    """300W's are in files of their own, whose content an error would quote."""
    root, kind = linked
    if kind != "file":
        pytest.skip("one kind is enough")
    secret = root / "secret"
    secret.write_text("password\n")
    (root / "pictures/1.pts").unlink()
    (root / "pictures/1.pts").symlink_to(secret)
    path = root / "list.txt"
    path.write_text("1.pts\n2.pts\n")
    file = load_annotations(path, "300w", root / "pictures")
    assert any(f"'1.pts': {LINK_OUT}" in notice for notice in file.notices)
    with pytest.raises(InputError, match=r"1\.pts: no line"):
        load_annotations(path, "300w", folder_of(root / "pictures", follow_links=True))


def test_detections_on_links_are_left_out(linked):
    root, kind = linked
    if kind == "folder":
        pytest.skip("no picture of its would be left")
    for name in ("coco.json", "detections.json"):
        (root / name).write_bytes(FORMATS[name].content)
    said = []
    file = load_annotations(root / "coco.json")
    samples = detection_samples(
        file, root / "detections.json", root / "pictures", report=said.append
    )
    assert [os.path.basename(p) for p in samples.image_paths] == ["2.png"]
    assert said == [f"{root}/coco.json: left out: 1 picture (1 {LINK_OUT})"]


FACES = {
    "wider.txt": lambda: FORMATS["wider.txt"].content,
    "facepoint.txt": lambda: annotation_files.point_list("facepoint"),
    "mtfl.txt": lambda: annotation_files.point_list("mtfl"),
    "retinaface.txt": lambda: annotation_files.point_list("retinaface"),
    "faces.json": lambda: annotation_files.coco(5, FACE_NAMES),
}


@pytest.mark.parametrize("name", FACES)
def test_faces_on_links_are_left_out_and_counted(linked, name, capsys):
    root, kind = linked
    path, folder = root / name, root / "pictures"
    content = FACES[name]()
    if kind == "folder":
        content = content.replace(b"1.png", b"sub/1.png").replace(b"2.png", b"sub/2.png")
    path.write_bytes(content)
    which = "annotations" if name == "wider.txt" else "landmarks"
    lists = FaceLists(**{which: (path,)}, images=(folder,))
    if kind == "folder":
        with pytest.raises(InputError, match=rf"1\.png: {LINK_OUT}, as are all 2 pictures"):
            load_faces(lists)
    else:
        [samples], _ = load_faces(lists)
        assert [os.path.basename(p) for p in samples.image_paths] == ["2.png"]
        left_out = f"{path}: left out: 1 picture, such as {folder}/1.png: {LINK_OUT}\n"
        assert left_out in capsys.readouterr().out
    if kind != "device":
        followed = FaceLists(**{which: (path,)}, images=(folder,), follow_links=True)
        [samples], _ = load_faces(followed)
        assert len(samples.image_paths) == 2


def test_a_check_decodes_no_links(linked, capsys):
    root, kind = linked
    if kind == "folder":
        pytest.skip("as a link to a file")
    path = root / "coco.json"
    path.write_bytes(FORMATS["coco.json"].content)
    with pytest.raises(InputError, match=r"errors?, listed above"):
        check_annotations(
            path, root / "pictures", "coco", None, "auto", decode=True, sheet=root / "sheet.png"
        )
    assert f"error: {root}/pictures/1.png: {LINK_OUT}\n" in capsys.readouterr().out


def test_no_labels_for_links(tree):
    said = []
    inside = ["absolute.png", "back.png", "inside.png", "loop.png", "plain.png", "sub/plain.png"]
    (tree / "pictures/two\nlines.png").touch()
    assert picture_names(tree / "pictures", None, report=said.append) == inside
    assert [line.split(": ", 1)[1] for line in said] == [
        f"left out: 6 pictures, such as absolute_out.png: {LINK_OUT}",
        "left out: 1 picture, such as two\nlines.png: a name that no list can hold",
    ]
    every = picture_names(tree / "pictures", None, follow_links=True, report=said.append)
    assert set(every) > set(inside)
    assert "out.png" in every


@pytest.mark.parametrize(
    "name", ["../others/secret.png", "sub/../../others/secret.png", "/etc/passwd", "..\\up.png"]
)
def test_names_in_a_list_to_label_stay_inside(tree, name):
    listed = tree / "some.txt"
    listed.write_text(f"plain.png\n{name}\n")
    with pytest.raises(InputError, match=r"some.txt: line 2: .*inside its folder"):
        picture_names(tree / "pictures", listed)


OUTSIDE = ["../1.png", "sub/../../1.png", "/1.png", "//server/1.png", "..", "."]


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("name", [n for n in POSE if n != "joints.mat"])
def test_names_that_lead_out_are_refused(monkeypatch, tmp_path, name, outside):
    """The picture is there: it is the name that is refused."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_all(pictures)
    shutil.copy(pictures / "1.png", tmp_path)
    monkeypatch.setattr(annotation_files, "picture", lambda n: outside)
    way, build = POSE[name]
    (tmp_path / name).write_bytes(build())
    (tmp_path / "gt_valid.mat").write_bytes(FORMATS["gt_valid.mat"].content)
    with pytest.raises(InputError, match="inside the folder of pictures"):
        load_annotations(tmp_path / name, way, pictures)


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("name", FACES)
def test_names_of_faces_that_lead_out_are_refused(monkeypatch, tmp_path, name, outside):
    monkeypatch.setattr(annotation_files, "picture", lambda n: outside)
    content = FACES[name]().replace(b"1.png", outside.encode())
    (tmp_path / name).write_bytes(content)
    which = "annotations" if name == "wider.txt" else "landmarks"
    images.write_image(tmp_path / "1.png", images.as_image(annotation_files.np.zeros((9, 9), "u1")))
    with pytest.raises(InputError, match=r"inside (its|the) folder"):
        load_faces(FaceLists(**{which: (tmp_path / name,)}, images=(tmp_path,)))
