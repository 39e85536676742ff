"""Judges a trained run as its data set is judged, or a face detector by WIDER FACE's protocol.

    python scripts/evaluate.py --help

The command itself is `kptkit.commands.evaluate`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("evaluate")
