"""Trains MTCNN's networks for finding faces and their five landmarks.

    python scripts/train_mtcnn.py --help

Another name of the command `kptkit train mtcnn`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("train mtcnn")
