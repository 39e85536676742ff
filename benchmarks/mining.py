"""P-Net's crops per second and core: kptkit's miner against the usual one.

    python benchmarks/mining.py

takes two minutes on 2 cores. Faces come from $KPTKIT_DATA/wider, or from a small demo set. Both
miners run in one thread, alternate several times, and are timed in CPU time; figures are medians.
Required: 4 times the crops of the usual miner. The last lines print kptkit's time by step. Decoding
the pictures is the floor, which no miner can avoid.
"""

from kptkit import quiet

quiet.import_tensorflow()

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from usual_miner import SMALLEST_FACE, UsualMiner

from kptkit import images
from kptkit.data.faces.wider import read_wider
from kptkit.data.mining.crop_pixels import cut_windows
from kptkit.data.mining.crops import mine_part, split_into_parts
from kptkit.data.mining.pnet import SIZE, pnet_crops
from kptkit.data.mining.settings import PnetMiningConfig
from kptkit.data.mining.windows import background_windows, face_windows, usable_faces
from kptkit.data.records.crop_writer import write_crops
from kptkit.demo.dataset import write_demo_data
from kptkit.samples import FaceSamples

REPEATS = 5
DEMO_IMAGES = 200
CONFIG = PnetMiningConfig(min_face_size=SMALLEST_FACE)

Result = TypeVar("Result")


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = load_samples(folder)
        print(f"{len(samples.image_paths)} pictures, {len(samples)} faces")
        miners = {"usual miner": run_usual, "kptkit": run_ours}
        counts = {name: run(samples, folder / name) for name, run in miners.items()}  # warms up
        for name, found in counts.items():
            print(f"{name}: " + ", ".join(f"{count:,} {kind}" for kind, count in found.items()))
        seconds = defaultdict(list)
        for repeat in range(REPEATS):
            for name, run in miners.items():
                spent, _ = timed(partial(run, samples, folder / f"{name} {repeat}"))
                seconds[name].append(spent / sum(counts[name].values()))
            for step, spent in time_steps(samples).items():
                seconds[step].append(spent / sum(counts["kptkit"].values()))
    each = {name: statistics.median(own) for name, own in seconds.items()}
    pairs = zip(seconds["usual miner"], seconds["kptkit"], strict=True)
    ratio = statistics.median(theirs / ours for theirs, ours in pairs)
    print(f"{'':28}{'us/crop':>10}{'crops/s/core':>14}")
    for name in miners:
        print(f"{name:28}{1e6 * each[name]:10.1f}{1 / each[name]:14,.0f}")
    print(f"ratio: {ratio:.2f} (required: 4)")
    steps = {name: each[name] for name in each if name not in miners}
    steps["records, checksums, the rest"] = each["kptkit"] - sum(steps.values())
    for name, own in steps.items():
        print(f"{name:28}{1e6 * own:10.1f}{own / each['kptkit']:14.0%}")


def load_samples(folder: Path) -> FaceSamples:
    """Faces to mine; a demo set is drawn into `folder`."""
    data = os.environ.get("KPTKIT_DATA")
    if data:
        wider = Path(data, "wider")
        return read_wider(wider / "wider_face_split/train_bbx_gt.txt", wider / "images")
    demo = write_demo_data(folder / "demo", DEMO_IMAGES, 0)
    return read_wider(demo / "annotations/wider_face_train_bbx_gt.txt", demo / "images")


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def run_usual(samples: FaceSamples, folder: Path) -> dict[str, int]:
    """Mines into a new folder; returns the number of crops of each kind."""
    miner = UsualMiner(folder)
    miner.mine(samples, seed=0)
    miner.close()
    return miner.counts


def run_ours(samples: FaceSamples, folder: Path) -> dict[str, int]:
    """As `run_usual`, with the miner of `kptkit data mine pnet`, in this process."""
    mine_image = partial(pnet_crops, config=CONFIG)
    mine = partial(mine_part, mine_image=mine_image, smallest_side=SIZE, seed=0)
    with redirect_stderr(StringIO()):  # no bar
        plan = {"stage": "pnet", "size": SIZE, "seed": 0}
        manifest = write_crops(folder, plan, split_into_parts([samples]), mine, workers=0)
    return {kind: count for kind, count in manifest["counts"].items() if count}


def time_steps(samples: FaceSamples) -> dict[str, float]:
    """CPU seconds of each step of kptkit's miner, run alone, for all pictures."""
    decode, pictures = timed(lambda: [images.read_image(path) for path in samples.image_paths])
    choose, windows = timed(lambda: [choose_windows(samples, n, p) for n, p in enumerate(pictures)])
    pairs = list(zip(pictures, windows, strict=True))
    cut, _ = timed(lambda: [cut_windows(picture, chosen, SIZE) for picture, chosen in pairs])
    return {"decode pictures": decode, "draw and label windows": choose, "cut them out": cut}


def choose_windows(samples: FaceSamples, place: int, picture: np.ndarray) -> np.ndarray:
    """The windows of a picture."""
    size_wh, rng = (picture.shape[1], picture.shape[0]), np.random.default_rng(place)
    own = samples.select_images(np.array([place]))
    faces, _ = usable_faces(own, size_wh, CONFIG.min_face_size)
    background = background_windows(rng, faces, size_wh, SIZE, CONFIG.windows)
    return np.concatenate([background, face_windows(rng, faces, size_wh, CONFIG.windows)[0]])


if __name__ == "__main__":
    main()
