"""Cuts the persons of an annotation file out of their pictures, for faster training.

    python data_prep/make_pose_records.py --help

The command itself is `kptkit.commands.data_records`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data_records", tensorflow=False)
