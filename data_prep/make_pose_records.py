"""Cuts the persons of an annotation file out of their pictures, for faster training.

    python data_prep/make_pose_records.py --help

Another name of the command `kptkit data records`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data records")
