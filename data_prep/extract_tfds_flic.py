"""Writes FLIC from TensorFlow Datasets as pictures and a JSON file that replaces examples.mat.

    python data_prep/extract_tfds_flic.py --help

Another name of the command `kptkit data flic`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data flic")
