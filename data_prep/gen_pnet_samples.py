"""Mines P-Net's crops: faces, parts of faces, background, and faces with their five points.

    python data_prep/gen_pnet_samples.py --help

The command itself is `kptkit.commands.data_mine`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data_mine", "pnet")
