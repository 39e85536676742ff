"""Labels faces in unlabelled pictures with a detector, to get more training data.

    python data_prep/label_faces.py --help

Another name of the command `kptkit data label-faces`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data label-faces")
