"""Trains an HRNet on body keypoints.

    python scripts/train_hrnet.py --help

Another name of the command `kptkit train hrnet`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("train hrnet")
