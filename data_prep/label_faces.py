"""Labels faces in unlabelled pictures with a detector, to get more training data.

    python data_prep/label_faces.py --images DIR --detector original

takes a tenth of a second per picture on 2 cores. Its output is --annotations and --landmarks of
gen_pnet_samples.py and gen_hard_samples.py:

    OUT/wider_face_bbx_gt.txt   all candidates; unsure ones are flagged as invalid, so that they are
                                used neither as faces nor as background
    OUT/landmarks.txt           the sure faces and their five points, in CNN_FacePoint's format

A network trained on such labels learns the detector's mistakes, too: mention it in its card.
"""

from kptkit import cli

cli.import_tensorflow_quietly()

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from kptkit.errors import InputError
from kptkit.face.detector import FaceDetector, FacePrediction
from kptkit.files import publish_file
from kptkit.images.codec import ImageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Config:
    """What to label, and with which detector."""

    images: Path
    """Folder of pictures, including all subfolders."""
    pictures: Path | None = None
    """Text file with the name of one picture per line; default: all pictures of the folder."""
    out: Path = Path("data/labels")
    detector: str = "default"
    """Weights: default (packaged), original (published, converted) or a file."""
    min_face_size: float = 12.0
    score_thresholds: tuple[float, float, float] = (0.5, 0.5, 0.3)
    """Score thresholds of P-, R- and O-Net for a candidate."""
    sure_score: float = 0.95
    """Minimum score for a candidate to be labelled as a face."""


def main(config: Config) -> None:
    """Labels pictures, and prints how many faces were found."""
    detector = FaceDetector(
        config.detector, config.min_face_size, score_thresholds=config.score_thresholds
    )
    names = picture_names(config)
    records, points, sure_faces, unsure_faces = [], [], 0, 0
    bar = tqdm(names, "labelling", unit="picture", dynamic_ncols=True)
    for name in bar:
        try:
            faces = detector.detect(config.images / name)
        except ImageError as error:
            bar.write(f"left out: {error}")
            continue
        sure = faces.scores >= config.sure_score
        records += wider_record(name, faces, sure)
        points += landmark_lines(name, faces, sure)
        sure_faces += int(sure.sum())
        unsure_faces += int((~sure).sum())
        bar.set_postfix(faces=sure_faces, unsure=unsure_faces, refresh=False)
    for file, lines in (("wider_face_bbx_gt.txt", records), ("landmarks.txt", points)):
        with publish_file(config.out / file) as unfinished:
            unfinished.write_text("".join(f"{line}\n" for line in lines))
    print(f"{config.out}: {sure_faces} faces, {unsure_faces} unsure, in {len(names)} pictures")
    print(
        f"next: python data_prep/gen_pnet_samples.py --images {config.images} "
        f"--annotations {config.out}/wider_face_bbx_gt.txt --landmarks {config.out}/landmarks.txt"
    )


def picture_names(config: Config) -> list[str]:
    """The pictures to label, relative to the folder, sorted.

    Raises:
        InputError: there are none.
    """
    if config.pictures:
        lines = config.pictures.read_text().splitlines()
        names = [line.strip() for line in lines if line.strip()]
    else:
        found = (path for path in config.images.rglob("*") if path.suffix.lower() in SUFFIXES)
        names = [str(path.relative_to(config.images)) for path in found]
    if not names:
        raise InputError(f"{config.pictures or config.images}: no pictures, expected some to label")
    return sorted(set(names))


def wider_record(name: str, faces: FacePrediction, sure: list[bool]) -> Iterator[str]:
    """The lines of a picture in WIDER FACE's list; the fourth flag is invalid."""
    yield name
    yield str(len(sure))
    for (left, top, right, bottom), certain in zip(faces.boxes_xyxy, sure, strict=True):
        numbers = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
        yield f"{numbers} 0 0 0 {int(not certain)} 0 0"
    if len(sure) == 0:
        yield "0 0 0 0 0 0 0 0 0 0"


def landmark_lines(name: str, faces: FacePrediction, sure: list[bool]) -> Iterator[str]:
    """One line per sure face: picture name, left right top bottom, x y of five points."""
    for index in range(len(sure)):
        if sure[index]:
            left, top, right, bottom = faces.boxes_xyxy[index]
            numbers = [left, right, top, bottom, *faces.landmarks[index].ravel()]
            yield " ".join([name, *(f"{number:.2f}" for number in numbers)])


if __name__ == "__main__":
    cli.run(main, Config, description=__doc__)
