"""Trains an HRNet on body keypoints.

    python scripts/train_hrnet.py --help

The command itself is `kptkit.commands.train`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("train", "hrnet")
