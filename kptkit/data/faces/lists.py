"""From the lists that flags name to sets of faces."""

from pathlib import Path
from typing import Any, Literal

from kptkit import files
from kptkit.data.faces.five_points import read_face_points
from kptkit.data.faces.flags import FaceLists
from kptkit.data.faces.sets import (
    check_disjoint,
    check_pictures,
    inside_folder,
    with_landmarks,
)
from kptkit.data.faces.wider import read_wider
from kptkit.data.links import folder_of
from kptkit.demo.dataset import write_demo_data
from kptkit.errors import InputError
from kptkit.samples import FaceSamples
from kptkit.wording import counted

DEMO = Path("data/demo")


def demo_lists(
    folder: Path = DEMO, split: Literal["train", "val"] = "train", **scenes: int
) -> FaceLists:
    """The lists of the demo set, which is drawn if it does not exist yet.

    Args:
        scenes: `train_images` and `val_images` of `write_demo_data`.
    """
    write_demo_data(folder, **scenes)
    return FaceLists(
        annotations=(folder / f"annotations/wider_face_{split}_bbx_gt.txt",),
        images=(folder / "images",),
        landmarks=(folder / f"annotations/face_landmarks_{split}.txt",),
    )


def load_faces(lists: FaceLists) -> tuple[list[FaceSamples], list[dict[str, Any]]]:
    """The faces of all lists, with each picture in only one set, and the lists' names and hashes.

    Raises:
        InputError: a list cannot be used, or does not match its pictures.
    """
    if not lists.annotations and not lists.landmarks:
        lists = demo_lists()
    sets: list[FaceSamples] = []
    follow = lists.follow_links
    for path, folder in _with_folders("images", lists.annotations, lists.images):
        samples = inside_folder(read_wider(path, folder), folder_of(folder, follow), path)
        check_pictures(samples, path)
        for other, earlier in zip(lists.annotations, sets, strict=False):
            check_disjoint(samples, earlier, f"{path} and {other}")
        sets.append(samples)
    landmark_images = lists.landmark_images or (lists.images if lists.landmarks else ())
    for path, folder in _with_folders("landmark-images", lists.landmarks, landmark_images):
        points = inside_folder(read_face_points(path, folder), folder_of(folder, follow), path)
        check_pictures(points, path)
        for index, samples in enumerate(sets):
            sets[index], points = with_landmarks(samples, points)
        sets.append(points)
    made_from = [
        {"list": path.name, "sha256": files.sha256(path)}
        for path in (*lists.annotations, *lists.landmarks)
    ]
    return [samples for samples in sets if samples.image_paths], made_from


def _with_folders(
    flag: str, lists: tuple[Path, ...], folders: tuple[Path, ...]
) -> list[tuple[Path, Path]]:
    """Each list with the folder of its pictures."""
    if len(folders) == 1:
        folders = folders * len(lists)
    if len(folders) != len(lists):
        raise InputError(
            f"--{flag}: {counted(len(folders), 'folder')} for {counted(len(lists), 'list')}; "
            "expected one for each, or "
            "one for all"
        )
    return list(zip(lists, folders, strict=True))
