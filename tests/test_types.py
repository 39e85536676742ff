"""What an editor and a type checker see of the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

USER = """
import numpy as np
boxes_xyxy = np.zeros((1, 4))
reveal_type(kptkit.FaceDetector().detect("photo.jpg"))
reveal_type(kptkit.FaceDetector().detect(["a.jpg", "b.jpg"]))
reveal_type(kptkit.load("runs/demo"))
try:
    kptkit.PoseEstimator("runs/demo")
except kptkit.InputError:
    kptkit.PoseEstimatr("runs/demo")
kptkit.FaceDetector(min_face_size="small")
"""


@pytest.mark.slow
def test_the_readme_is_typed_and_mistakes_are_found(tmp_path):
    pytest.importorskip("mypy")
    blocks = [b for b in re.findall(r"```python\n(.*?)```", README, re.S) if "kptkit" in b]
    shown = "import kptkit\n" + USER + "\n".join(blocks)
    (tmp_path / "user.py").write_text(shown, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "user.py"]
    # mypy does not follow the hook by which a package in development is installed.
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^user\.py:\d+: (error|note): (.*)$", done.stdout, re.M)
    notes = [re.sub(r"kptkit\.(\w+\.)*", "", text) for kind, text in found if kind == "note"]
    assert notes[:3] == [
        'Revealed type is "FacePrediction"',
        'Revealed type is "list[FacePrediction]"',
        'Revealed type is "PoseNetwork"',
    ]
    errors = [text for kind, text in found if kind == "error"]
    assert len(errors) == 2, done.stdout
    assert 'has no attribute "PoseEstimatr"' in errors[0]
    assert 'incompatible type "str"; expected "float"' in errors[1]
