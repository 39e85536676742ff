"""Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

    python data_prep/gen_pnet_samples.py --help

Another name of the command `kptkit data mine pnet`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data mine pnet")
