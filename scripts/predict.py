"""Finds keypoints or faces in pictures and draws them.

    python scripts/predict.py --help

Another name of the command `kptkit predict`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("predict")
