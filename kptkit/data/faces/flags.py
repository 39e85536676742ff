"""The command line flags that name lists of faces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kptkit.fields import Existing, Needs, Repeated

Files = Annotated[Repeated[tuple[Path, ...]], Existing("file")]
Folders = Annotated[Repeated[tuple[Path, ...]], Existing("folder")]


@dataclass(frozen=True)
class FaceLists:
    """Lists of annotated faces; default: the demo set, which is drawn into data/demo."""

    annotations: Files = ()
    """List of faces in WIDER FACE's format."""
    images: Annotated[Folders, Needs("annotations", "landmarks")] = ()
    """Folder of the pictures of --annotations: one per list, or one for all."""
    landmarks: Files = ()
    """List of faces with five landmarks (CNN_FacePoint, MTFL, RetinaFace's WIDER labels, COCO
    json)."""
    landmark_images: Annotated[Folders, Needs("landmarks")] = ()
    """Folder of the pictures of --landmarks: one per list, or one for all; default: that of
    --images."""
    follow_links: bool = False
    """Whether pictures that are links out of their folder are read."""
