"""Evaluates a trained run by its data set's protocol, or a face detector by WIDER FACE's.

    python scripts/evaluate.py --help

Another name of the command `kptkit evaluate`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("evaluate")
