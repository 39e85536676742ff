"""The keypoints of the public data sets of bodies and faces.

Left and right are the person's own. OKS sigmas are COCO's where COCO has a keypoint of the same
name, COCO-WholeBody's for the 68 points of a face, and `DEFAULT_OKS_SIGMA` for the rest. No data
set but COCO is evaluated by OKS, so sigmas of the others only serve to compare one's own runs. The
sigmas that one framework uses for MPII are not taken: .179 for shoulders, where COCO has .079.
"""

from collections.abc import Sequence

from kptkit.skeletons.schema import KeypointSchema, Pairs, infer_flip_pairs, plain_name

# For keypoints that nobody has measured: among COCO's, between the face (.025) and the hips (.107).
DEFAULT_OKS_SIGMA = 0.05

# Names, edges and sigmas of the COCO keypoint challenge; upper body of the official HRNet code.
COCO_17 = KeypointSchema(
    names=(
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
        *("left_wrist", "right_wrist", "left_hip", "right_hip"),
        *("left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    edges=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7)),
        *((6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    oks_sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    upper_body=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)

# Loss weights of the WZMIAOMIAO HRNet recipe: the ends of the limbs are harder.
COCO_17_KEYPOINT_WEIGHTS = (
    *(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    *(1.2, 1.2, 1.5, 1.5),
    *(1.0, 1.0, 1.2, 1.2, 1.5, 1.5),
)


def sigmas_by_name(names: Sequence[str]) -> tuple[tuple[float, ...], list[str]]:
    """An OKS sigma for each name, and the names for which none is known.

    The sigma is that of the COCO keypoint of the same `plain_name`, else `DEFAULT_OKS_SIGMA`.
    """
    known = dict(zip(map(plain_name, COCO_17.names), COCO_17.oks_sigmas, strict=True))
    sigmas = tuple(known.get(plain_name(name), DEFAULT_OKS_SIGMA) for name in names)
    return sigmas, [name for name in names if plain_name(name) not in known]


def _schema(
    names: tuple[str, ...],
    edges: Pairs,
    upper_body: tuple[int, ...] = (),
    oks_sigmas: tuple[float, ...] | None = None,
) -> KeypointSchema:
    """A schema whose flip pairs, and sigmas unless they are given, follow from the names."""
    sigmas = sigmas_by_name(names)[0] if oks_sigmas is None else oks_sigmas
    return KeypointSchema(names, edges, infer_flip_pairs(names), sigmas, upper_body)


def _chain(first: int, last: int, closed: bool = False) -> Pairs:
    """Edges from each keypoint to the next, and from the last back to the first if closed."""
    steps = tuple((index, index + 1) for index in range(first, last))
    return (*steps, (last, first)) if closed else steps


# Andriluka et al. 2014, the README of version u12; upper body of the official HRNet code.
MPII_16 = _schema(
    names=(
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top"),
        *("right_wrist", "right_elbow", "right_shoulder"),
        *("left_shoulder", "left_elbow", "left_wrist"),
    ),
    edges=(
        *((0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
        *((10, 11), (11, 12), (7, 12), (7, 13), (13, 14), (14, 15)),
    ),
    upper_body=(7, 8, 9, 10, 11, 12, 13, 14, 15),
)

# Sapp and Taskar 2013: the 11 of the 29 columns of ``coords`` that are annotated.
FLIC_11 = _schema(
    names=(
        *("left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist"),
        *("left_hip", "right_hip", "left_eye", "right_eye", "nose"),
    ),
    edges=(
        *((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (0, 6), (3, 7), (6, 7)),
        *((8, 10), (9, 10)),
    ),
)

# Johnson and Everingham 2010 and 2011, the READMEs of both data sets. Their persons are always
# seen whole, so half-body augmentation is left off.
LSP_14 = _schema(
    names=(
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("right_wrist", "right_elbow", "right_shoulder"),
        *("left_shoulder", "left_elbow", "left_wrist", "neck", "head_top"),
    ),
    edges=(
        *((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (2, 3)),
        *((8, 12), (9, 12), (2, 8), (3, 9)),
    ),
)

# The 68 points of 300W (Sagonas et al. 2013), the person's right (the image's left) first. The
# sigmas are COCO-WholeBody's (Jin et al. 2020): they refer to the area of the person, not of the
# face.
FACE_68 = _schema(
    names=(
        *(f"right_jaw_{n}" for n in range(1, 9)),
        "chin",
        *(f"left_jaw_{n}" for n in range(8, 0, -1)),
        *(f"right_brow_{n}" for n in range(1, 6)),
        *(f"left_brow_{n}" for n in range(5, 0, -1)),
        *(f"nose_{n}" for n in range(1, 5)),
        *("right_nostril_1", "right_nostril_2", "nose_base"),
        *("left_nostril_2", "left_nostril_1"),
        *("right_eye_outer", "right_eye_top_1", "right_eye_top_2"),
        *("right_eye_inner", "right_eye_bottom_2", "right_eye_bottom_1"),
        *("left_eye_inner", "left_eye_top_2", "left_eye_top_1"),
        *("left_eye_outer", "left_eye_bottom_1", "left_eye_bottom_2"),
        *("right_mouth_corner", "right_lip_top_1", "right_lip_top_2", "lip_top"),
        *("left_lip_top_2", "left_lip_top_1", "left_mouth_corner"),
        *("left_lip_bottom_1", "left_lip_bottom_2", "lip_bottom"),
        *("right_lip_bottom_2", "right_lip_bottom_1"),
        *("right_mouth_inner_corner", "right_mouth_inner_top", "mouth_inner_top"),
        *("left_mouth_inner_top", "left_mouth_inner_corner"),
        *("left_mouth_inner_bottom", "mouth_inner_bottom", "right_mouth_inner_bottom"),
    ),
    edges=(
        *(*_chain(0, 16), *_chain(17, 21), *_chain(22, 26), *_chain(27, 30), *_chain(31, 35)),
        *(*_chain(36, 41, closed=True), *_chain(42, 47, closed=True)),
        *(*_chain(48, 59, closed=True), *_chain(60, 67, closed=True)),
    ),
    oks_sigmas=(
        *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020),
        *(0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045),
        *(0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),
        *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),
        *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034),
        *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007),
        *(0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),
    ),
)

# The 98 points of WFLW (Wu et al. 2018), the person's right first; the pupils are the last two.
WFLW_98 = _schema(
    names=(
        *(f"right_jaw_{n}" for n in range(1, 17)),
        "chin",
        *(f"left_jaw_{n}" for n in range(16, 0, -1)),
        *(f"right_brow_top_{n}" for n in range(1, 6)),
        *(f"right_brow_bottom_{n}" for n in range(4, 0, -1)),
        *(f"left_brow_top_{n}" for n in range(5, 0, -1)),
        *(f"left_brow_bottom_{n}" for n in range(1, 5)),
        *(f"nose_{n}" for n in range(1, 5)),
        *("right_nostril_1", "right_nostril_2", "nose_base"),
        *("left_nostril_2", "left_nostril_1"),
        *("right_eye_outer", "right_eye_top_1", "right_eye_top_2", "right_eye_top_3"),
        *("right_eye_inner", "right_eye_bottom_3", "right_eye_bottom_2", "right_eye_bottom_1"),
        *("left_eye_inner", "left_eye_top_3", "left_eye_top_2", "left_eye_top_1"),
        *("left_eye_outer", "left_eye_bottom_1", "left_eye_bottom_2", "left_eye_bottom_3"),
        *("right_mouth_corner", "right_lip_top_1", "right_lip_top_2", "lip_top"),
        *("left_lip_top_2", "left_lip_top_1", "left_mouth_corner"),
        *("left_lip_bottom_1", "left_lip_bottom_2", "lip_bottom"),
        *("right_lip_bottom_2", "right_lip_bottom_1"),
        *("right_mouth_inner_corner", "right_mouth_inner_top", "mouth_inner_top"),
        *("left_mouth_inner_top", "left_mouth_inner_corner"),
        *("left_mouth_inner_bottom", "mouth_inner_bottom", "right_mouth_inner_bottom"),
        *("right_pupil", "left_pupil"),
    ),
    edges=(
        *(*_chain(0, 32), *_chain(33, 41, closed=True), *_chain(42, 50, closed=True)),
        *(*_chain(51, 54), *_chain(55, 59)),
        *(*_chain(60, 67, closed=True), *_chain(68, 75, closed=True)),
        *(*_chain(76, 87, closed=True), *_chain(88, 95, closed=True)),
    ),
)

# The 29 points of COFW (Burgos-Artizzu et al. 2013), right before left, as in its files.
COFW_29 = _schema(
    names=(
        *("right_brow_outer", "left_brow_outer", "right_brow_inner", "left_brow_inner"),
        *("right_brow_top", "right_brow_bottom", "left_brow_top", "left_brow_bottom"),
        *("right_eye_outer", "left_eye_outer", "right_eye_inner", "left_eye_inner"),
        *("right_eye_top", "right_eye_bottom", "left_eye_top", "left_eye_bottom"),
        *("right_pupil", "left_pupil", "right_nostril", "left_nostril", "nose_tip", "nose_base"),
        *("right_mouth_corner", "left_mouth_corner"),
        *("lip_top", "mouth_inner_top", "mouth_inner_bottom", "lip_bottom", "chin"),
    ),
    edges=(
        *((0, 4), (4, 2), (2, 5), (5, 0), (1, 6), (6, 3), (3, 7), (7, 1)),
        *((8, 12), (12, 10), (10, 13), (13, 8), (9, 14), (14, 11), (11, 15), (15, 9)),
        *((18, 20), (20, 19), (18, 21), (21, 19)),
        *((22, 24), (24, 23), (23, 27), (27, 22), (22, 25), (25, 23), (23, 26), (26, 22)),
    ),
)
