"""Converts published weights into one kptkit file, with its SHA-256 beside it.

    python scripts/convert_weights.py --help

Another name of the command `kptkit convert`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("convert")
