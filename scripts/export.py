"""Exports a network as a SavedModel for TF Serving, or for LiteRT or ONNX Runtime.

    python scripts/export.py --help

Another name of the command `kptkit export`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("export")
