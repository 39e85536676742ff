"""Replaces the boxes of annotated faces by a detector's, to train landmark networks on them.

    python data_prep/detect_face_boxes.py --help

Another name of the command `kptkit data face-boxes`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data face-boxes")
