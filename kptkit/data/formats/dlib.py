"""dlib's XML of faces with 68 points, as its tools (imglab) write it.

    <dataset><images>
      <image file='a.jpg' width='500' height='375'>
        <box top='90' left='194' width='37' height='37'>
          <part name='00' x='201' y='107'/> ... <part name='67' x='216' y='124'/>

Sizes are optional. A missing part is an unlabelled landmark. Boxes with ignore='1' or without parts
are left out. Coordinates count from 0. The stated boxes are those of dlib's detector, which cut off
chins and foreheads, so boxes are made from the landmarks, as for 300W.

The XML is parsed event by event, and a document type declaration is refused, so there are no
entities to expand and no external files to load.
"""

from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

import numpy as np

from kptkit.data.formats.build_document import (
    DataSetInfo,
    Entry,
    Findings,
    Inspected,
    PictureFolder,
    Size,
    build_annotation_file,
    landmark_box,
)
from kptkit.data.formats.faults import is_size
from kptkit.data.formats.text_lists import as_numbers
from kptkit.errors import InputError
from kptkit.reading import read_content
from kptkit.skeletons.known import FACE_68
from kptkit.wording import name_of

DLIB = DataSetInfo(FACE_68, "nme_interocular", "face", boxes_may_leave=True)

_POINTS = FACE_68.num_keypoints


def inspect_dlib(path: str | Path, pictures: PictureFolder) -> Inspected:
    """The valid faces of one of dlib's XML files, and how often each fault occurs.

    Raises:
        InputError: it is not such a file.
    """
    reader = _Reader(path)
    reader.read(read_content(path, "dlib's XML of faces"))
    return build_annotation_file(reader.findings, DLIB, pictures)


class _Reader:
    """Collects the faces of a file while expat parses it."""

    def __init__(self, path: str | Path):
        self.path = path
        self.findings = Findings(path)
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.file_name = ""
        self.image_wh: Size | None = None
        # (68, 3) of the current box; None outside boxes and inside those that are left out.
        self.keypoints: np.ndarray | None = None
        self.box_line = 0
        self.num_images = 0

    def read(self, content: bytes) -> None:
        """Parses the whole content of a file."""
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            raise InputError(
                f"{self.path}: line {error.lineno}: {expat.ErrorString(error.code)}; expected "
                "dlib's XML of faces; is the file cut off?"
            ) from None
        except (LookupError, ValueError, UnicodeError) as error:  # unknown or wrong encoding
            raise InputError(f"{self.path}: {error}; expected XML in UTF-8") from None
        if not self.num_images:
            raise InputError(f"{self.path}: no <image>; expected dlib's XML of faces")

    def _refuse(self, *_: object) -> None:
        line = self.parser.CurrentLineNumber
        raise InputError(
            f"{self.path}: line {line}: a document type declaration; expected none, since entities "
            "are not read"
        )

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "image":
            self.num_images += 1
            self._start_image(attributes)
        elif tag == "box":
            self.box_line = self.parser.CurrentLineNumber
            self.keypoints = np.zeros((_POINTS, 3))
            if attributes.get("ignore") == "1":
                self.findings.notice("box", "is marked to be ignored; left out")
                self.keypoints = None
        elif tag == "part" and self.keypoints is not None:
            self._part(attributes, self.keypoints)

    def _start_image(self, attributes: Mapping[str, str]) -> None:
        self.file_name = attributes.get("file", "").replace("\\", "/").removeprefix("./")
        self.image_wh = None
        width, height = attributes.get("width"), attributes.get("height")
        if width is not None and height is not None:
            sizes = as_numbers(f"{width} {height}")
            if sizes is None or len(sizes) != 2 or not is_size(sizes):
                found = f"width {width!r} and height {height!r}"
                self._error("image", f"{found}; expected the picture's size in pixels")
            else:
                self.image_wh = (int(sizes[0]), int(sizes[1]))

    def _part(self, attributes: Mapping[str, str], keypoints: np.ndarray) -> None:
        name = attributes.get("name", "")
        if not (len(name) < 5 and name.isascii() and name.isdecimal() and int(name) < _POINTS):
            self._error("part", f"name {name[:20]!r}; expected 00 to {_POINTS - 1}")
            return
        point = as_numbers(f"{attributes.get('x', '')} {attributes.get('y', '')}")
        if point is None or len(point) != 2:
            self._error(f"part {name}", "expected x and y in pixels")
            return
        keypoints[int(name)] = (*point, 2)

    def _end(self, tag: str) -> None:
        if tag != "box" or self.keypoints is None:
            return
        where = f"line {self.box_line} ({name_of(self.file_name)})"
        box = landmark_box(self.keypoints)
        entry = Entry(where, self.file_name, self.keypoints, box, self.image_wh)
        self.findings.entries.append(entry)
        self.keypoints = None

    def _error(self, tag: str, what: str) -> None:
        self.findings.error(f"line {self.parser.CurrentLineNumber}: {tag}", what)
