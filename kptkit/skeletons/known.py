"""The keypoints of the public data sets of bodies and faces, beside COCO's.

Left and right are the person's own throughout. OKS sigmas are COCO's where COCO has a joint of the
same name, those of COCO-WholeBody for the 68 points of a face, and `DEFAULT_OKS_SIGMA` for the
rest: none of these data sets is judged by OKS, so the sigmas serve for comparisons at home only.
The sigmas that one framework has for MPII are not taken: .179 for shoulders, where COCO has .079.
"""

from kptkit.skeletons.schema import KeypointSchema, Pairs, infer_flip_pairs, sigmas_by_name


def _named(
    names: tuple[str, ...],
    edges: Pairs,
    upper_body: tuple[int, ...] = (),
    oks_sigmas: tuple[float, ...] | None = None,
) -> KeypointSchema:
    """A schema whose mirror pairs, and sigmas unless they are given, follow from the names."""
    sigmas = sigmas_by_name(names)[0] if oks_sigmas is None else oks_sigmas
    return KeypointSchema(names, edges, infer_flip_pairs(names), sigmas, upper_body)


def _chain(first: int, last: int, closed: bool = False) -> Pairs:
    """Edges from each keypoint to the next one, and from the last to the first if closed."""
    steps = tuple((index, index + 1) for index in range(first, last))
    return (*steps, (last, first)) if closed else steps


# Andriluka et al. 2014, the README of version u12; upper body of the official HRNet code.
MPII_16 = _named(
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

# Sapp and Taskar 2013: the 11 of the 29 places of ``coords`` that are annotated.
FLIC_11 = _named(
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
# whole, so there are no half bodies to learn.
LSP_14 = _named(
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

# The 68 points of 300W (Sagonas et al. 2013), image left, which is the person's right, first.
# Sigmas of COCO-WholeBody (Jin et al. 2020); they go with the area of the person, not of the face.
FACE_68 = _named(
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

# The 98 points of WFLW (Wu et al. 2018), the person's right first; the pupils stand last.
WFLW_98 = _named(
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

# The 29 points of COFW (Burgos-Artizzu et al. 2013), right before left as in its files.
COFW_29 = _named(
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
