"""One detector and one estimator, used by threads, copies, pickles and forked processes.

Right: every use answers as a single thread of the same process does, to the bit; a process that was
forked after TensorFlow had started says so instead of waiting for ever.

The process that makes the attempts only constructs; each attempt is made in a fork of it, which
builds the networks at its first picture.
"""

import copy
import functools
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from support.forked import in_child

from campaign.parts import FOLDER
from kptkit.errors import InputError
from kptkit.face import FaceDetector
from kptkit.network import build_model
from kptkit.people import PeopleEstimator, PeoplePrediction
from kptkit.pose import PoseEstimator
from kptkit.recipes.pose import PoseRecipe
from kptkit.skeletons.known import COCO_17
from kptkit.weights.arrays import publish_arrays
from kptkit.weights.assign import model_arrays
from kptkit.weights.card import Origin, WeightsCard

PICTURES = 4
# So low that noise has faces.
THRESHOLDS = (0.2, 0.02, 0.001)


def prepare(folder: str) -> None:
    """Writes a pose network of random weights."""
    recipe = PoseRecipe(variant="demo", input_size_wh=(64, 64))
    model = build_model(recipe, 17)
    card = WeightsCard(model.name, Origin("nobody"), recipe, COCO_17)
    publish_arrays(Path(folder, "pose.npz"), model_arrays(model), card)


@functools.cache
def people() -> PeopleEstimator:
    """Constructed, but not used; TensorFlow does not run yet."""
    body = PoseEstimator(Path(os.environ[FOLDER], "pose.npz"))
    return PeopleEstimator(body, FaceDetector(score_thresholds=THRESHOLDS))


def attempt(seed: int) -> str:
    """Uses them in one of the ways; "" if all answers are right."""
    people()
    return in_child(lambda: tried(seed))


def tried(seed: int) -> str:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 90, (PICTURES, 2))
    pictures = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes]
    way = WAYS[rng.integers(len(WAYS))]
    found = way(rng, pictures)
    alone = [flat(people().predict(picture)) for picture in pictures]
    for index, answer in enumerate(found):
        if not all(map(np.array_equal, answer, alone[index % PICTURES])):
            return f"{way.__name__}: use {index} answers differently"
    late = in_child(lambda: refused(pictures[0]))
    return "" if late == "refused" else f"a late fork: {late}"


def refused(picture: np.ndarray) -> str:
    try:
        return f"answered {people().predict(picture)}"
    except InputError as error:
        return "refused" if "forked after TensorFlow had started" in str(error) else str(error)


def flat(answer: PeoplePrediction) -> list[np.ndarray]:
    faces = answer.faces
    return [answer.bodies.keypoints, faces.boxes_xyxy, faces.scores, faces.landmarks]


Pictures = list[np.ndarray]
Answers = list[list[np.ndarray]]


def threads(rng: np.random.Generator, pictures: Pictures) -> Answers:
    """All threads wait for each other before the first picture, which builds the networks."""
    count = int(rng.integers(2, 9))
    ready = threading.Barrier(count)

    def use(number: int) -> list[np.ndarray]:
        if number < count:
            ready.wait()
        return flat(people().predict(pictures[number % PICTURES]))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(use, range(count * PICTURES)))


def copied(copies: Callable[[PeopleEstimator], PeopleEstimator], pictures: Pictures) -> Answers:
    """A copy of what was not used, and one of what was."""
    found = []
    for _ in range(2):
        other = copies(people())
        found += [flat(other.predict(picture)) for picture in pictures]
        people().predict(pictures[0])
    return found


def deep_copies(_: np.random.Generator, pictures: Pictures) -> Answers:
    return copied(copy.deepcopy, pictures)


def pickles(_: np.random.Generator, pictures: Pictures) -> Answers:
    return copied(lambda each: pickle.loads(pickle.dumps(each)), pictures)


def other_process(_: np.random.Generator, pictures: Pictures) -> Answers:
    """A fork of the fork, before either has used anything."""
    return in_child(lambda: [flat(people().predict(picture)) for picture in pictures])


WAYS = (threads, deep_copies, pickles, other_process)
