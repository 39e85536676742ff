"""Trains a stacked hourglass on body keypoints or face landmarks, every stack supervised.

    python scripts/train_hourglass.py --help

Another name of the command `kptkit train hourglass`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("train hourglass")
