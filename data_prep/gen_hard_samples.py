"""Mines R-Net's and O-Net's crops: true and false detections of the stages before.

    python data_prep/gen_hard_samples.py --help

Another name of the command `kptkit data mine hard`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data mine hard")
