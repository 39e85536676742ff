"""Labels the faces of pictures that nobody has labelled, by a detector: more to learn from.

    python data_prep/label_faces.py --images DIR --detector original

A tenth of a second a picture on 2 cores. What it writes, gen_pnet_samples.py and
gen_hard_samples.py take as --annotations and --landmarks:

    OUT/wider_face_bbx_gt.txt   every candidate; what is not surely a face is flagged as invalid, so
                                that it serves neither as a face nor as background
    OUT/landmarks.txt           the sure faces and their five points, as CNN_FacePoint has them

A network that learns from such labels learns the detector's mistakes, too: say so in its card.
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
    """What to label, and with what."""

    images: Path
    """Folder of pictures, looked through with all its subfolders."""
    pictures: Path | None = None
    """Text file with the name of a picture to label on each line; none: all of the folder."""
    out: Path = Path("data/labels")
    detector: str = "default"
    """default, original, or a cascade's file."""
    min_face_size: float = 12.0
    score_thresholds: tuple[float, float, float] = (0.5, 0.5, 0.3)
    """What makes a candidate."""
    sure_score: float = 0.95
    """From which score on a candidate is a face."""


def main(config: Config) -> None:
    """Labels, and says how many faces were found."""
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
    """The lines of a picture in WIDER FACE's list; the fourth flag says invalid."""
    yield name
    yield str(len(sure))
    for (left, top, right, bottom), certain in zip(faces.boxes_xyxy, sure, strict=True):
        numbers = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
        yield f"{numbers} 0 0 0 {int(not certain)} 0 0"
    if len(sure) == 0:
        yield "0 0 0 0 0 0 0 0 0 0"


def landmark_lines(name: str, faces: FacePrediction, sure: list[bool]) -> Iterator[str]:
    """One line for each sure face: its picture, left right top bottom, five points x y."""
    for index in range(len(sure)):
        if sure[index]:
            left, top, right, bottom = faces.boxes_xyxy[index]
            numbers = [left, right, top, bottom, *faces.landmarks[index].ravel()]
            yield " ".join([name, *(f"{number:.2f}" for number in numbers)])


if __name__ == "__main__":
    cli.run(main, Config, description=__doc__)
