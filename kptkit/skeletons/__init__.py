"""Keypoint schemas: names, edges, flip pairs and OKS sigmas of data sets."""

from kptkit.skeletons.from_category import schema_from_category
from kptkit.skeletons.known import (
    COCO_17,
    COCO_17_KEYPOINT_WEIGHTS,
    COFW_29,
    DEFAULT_OKS_SIGMA,
    FACE_68,
    FLIC_11,
    LSP_14,
    MPII_16,
    WFLW_98,
    sigmas_by_name,
)
from kptkit.skeletons.schema import (
    KeypointSchema,
    Pairs,
    infer_flip_pairs,
    name_words,
    parse_flip_pairs,
    plain_name,
)

__all__ = [
    "COCO_17",
    "COCO_17_KEYPOINT_WEIGHTS",
    "COFW_29",
    "DEFAULT_OKS_SIGMA",
    "FACE_68",
    "FLIC_11",
    "LSP_14",
    "MPII_16",
    "WFLW_98",
    "KeypointSchema",
    "Pairs",
    "infer_flip_pairs",
    "name_words",
    "parse_flip_pairs",
    "plain_name",
    "schema_from_category",
    "sigmas_by_name",
]
