"""Trains MTCNN's networks for finding faces and their five landmarks.

    python scripts/train_mtcnn.py --help

The command itself is `kptkit.commands.train`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("train", "mtcnn")
