"""Labels faces in unlabelled pictures with a detector, to get more training data.

    kptkit data label-faces --images DIR --detector original

takes a tenth of a second per picture on 2 cores. Its output is --annotations and --landmarks of
kptkit data mine pnet and kptkit data mine hard:

    OUT/wider_face_bbx_gt.txt   all candidates; unsure ones are flagged as invalid, so that they are
                                used neither as faces nor as background
    OUT/landmarks.txt           the sure faces and their five points, in CNN_FacePoint's format

A network trained on such labels learns the detector's mistakes, too: mention it in its card.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kptkit import flags, quiet
from kptkit.commands import early
from kptkit.fields import SHARE, Existing, Range, Written
from kptkit.recipes.cascade import MOST_FACES
from kptkit.wording import counted


@dataclass(frozen=True)
class LabelFacesConfig:
    """What to label, and with which detector."""

    images: Annotated[Path, Existing("folder")]
    """Folder of pictures, including all subfolders."""
    pictures: Annotated[Path | None, Existing("file")] = None
    """Text file with the name of one picture per line; default: all pictures of the folder."""
    out: Annotated[Path, Written("folder")] = Path("data/labels")
    """Folder for the two lists."""
    follow_links: bool = False
    """Whether pictures that are links out of their folder are read."""
    detector: str = "default"
    """Weights: default (packaged), original (published, converted) or a file."""
    min_face_size: Annotated[float, Range(10, 100_000)] = 12.0
    """Side in pixels of the smallest faces to detect."""
    score_thresholds: Annotated[tuple[float, float, float], SHARE] = (0.5, 0.5, 0.3)
    """Score thresholds of P-, R- and O-Net for a candidate."""
    max_faces: Annotated[int, Range(1, MOST_FACES)] = MOST_FACES
    """The most candidates of a picture, the best-scored ones."""
    sure_score: Annotated[float, SHARE] = 0.95
    """Minimum score for a candidate to be labelled as a face."""


def main(config: LabelFacesConfig) -> None:
    """Labels pictures, and prints how many faces were found."""
    early.check_cascade(config.detector)
    quiet.import_tensorflow()
    from kptkit.face.detector import FaceDetector
    from kptkit.face.label_pictures import label_pictures, picture_names

    detector = FaceDetector(
        config.detector,
        config.min_face_size,
        score_thresholds=config.score_thresholds,
        max_faces=config.max_faces,
    )
    names = picture_names(config.images, config.pictures, config.follow_links)
    sure, unsure = label_pictures(detector, config.images, names, config.out, config.sure_score)
    pictures = counted(len(names), "picture")
    print(f"{config.out}: {counted(sure, 'face')}, {unsure:,} unsure, in {pictures}")
    print(
        f"next: kptkit data mine pnet --images {config.images} "
        f"--annotations {config.out}/wider_face_bbx_gt.txt --landmarks {config.out}/landmarks.txt"
    )


def command() -> None:
    """The command line."""
    flags.run(main, LabelFacesConfig, __doc__, tensorflow=False)
