"""COFW (Burgos-Artizzu et al. 2013), as COCO-like json: 29 points per face, occluded ones marked.

The data set's own MATLAB file (version 7.3, which contains the pictures) is not supported.
"""

from pathlib import Path

from kptkit.data.formats.build_document import DataSetInfo, Inspected, PictureFolder
from kptkit.data.formats.coco_like_faces import inspect_face_json
from kptkit.skeletons.known import COFW_29

COFW = DataSetInfo(COFW_29, "nme_interocular", "face", boxes_may_leave=True)


def inspect_cofw(path: str | Path, _: PictureFolder, category: str | None = None) -> Inspected:
    """The valid faces of a COCO-like json of COFW, and how often each fault occurs.

    Args:
        category: name of the category to read, if several have keypoints.

    Raises:
        InputError: it is not a COCO file at all.
    """
    return inspect_face_json(path, COFW, category)
