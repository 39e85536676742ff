"""The command line flags that name lists of faces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

Paths = Annotated[tuple[Path, ...], tyro.conf.UseAppendAction]


@dataclass(frozen=True)
class FaceLists:
    """Lists of annotated faces; default: the demo set, which is drawn into data/demo."""

    annotations: Paths = ()
    """List of faces in WIDER FACE's format; may be repeated."""
    images: Paths = ()
    """Folder of the pictures of --annotations: one per list, or one for all."""
    landmarks: Paths = ()
    """List of faces with five landmarks (CNN_FacePoint, MTFL, RetinaFace's WIDER labels, COCO
    json); may be repeated."""
    landmark_images: Paths = ()
    """Folder of the pictures of --landmarks: one per list, or one for all; default: that of
    --images."""
