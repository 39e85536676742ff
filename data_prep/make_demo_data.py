"""Draws the demo data set: scenes of people with exact keypoints, boxes and faces.

    python data_prep/make_demo_data.py --help

Another name of the command `kptkit data demo`.
"""

from kptkit import cli

if __name__ == "__main__":
    cli.start("data demo")
