"""Mines R-Net's and O-Net's crops: true and false detections of the stages before.

    python data_prep/gen_hard_samples.py --help

The command itself is `kptkit.commands.data_mine`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data_mine", "hard")
