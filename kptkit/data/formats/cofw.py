"""COFW (Burgos-Artizzu et al. 2013): the COCO-like json of 29 points a face, hidden ones marked.

The data set's own MATLAB file (version 7.3, pictures inside) is not read.
"""

from pathlib import Path

from kptkit.data.formats.build_document import DataSet, Inspected, Pictures
from kptkit.data.formats.coco_like_faces import inspect_face_json
from kptkit.skeletons.known import COFW_29

COFW = DataSet(COFW_29, "nme_interocular", "face", boxes_may_leave=True)


def inspect_cofw(path: str | Path, _: Pictures, category: str | None = None) -> Inspected:
    """What is sound in a COCO-like json of COFW, and how often each fault occurs.

    Raises:
        InputError: it is no COCO file at all.
    """
    return inspect_face_json(path, COFW, category)
