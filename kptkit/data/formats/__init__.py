"""Readers of annotation files in the formats of many data sets; all return a COCO document."""
