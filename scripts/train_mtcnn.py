"""Trains MTCNN's networks for finding faces and their five landmarks.

    python scripts/train_mtcnn.py

mines and trains P-Net, R-Net and O-Net on the built-in demo set and judges the detector on scenes
it never saw; it takes about ten minutes on two cores. One network at a time, each on the crops that
data_prep/gen_pnet_samples.py or data_prep/gen_hard_samples.py made:

    python scripts/train_mtcnn.py --stage pnet

Faces of your own, from lists as those two commands take them:

    python scripts/train_mtcnn.py --annotations X.txt --images DIR --landmarks Y.txt \\
        --landmark-images DIR --out runs/own --data.train data/own

uses the recipe for real data (--recipe NAME for another; --help lists every constant). --init
original fine-tunes the published weights. The same command goes on after a stop.
"""

from kptkit import commands

if __name__ == "__main__":
    # Only here: the processes that mine import this file too, and need nothing of it.
    commands.import_tensorflow_quietly()

    from kptkit.train_config import FaceTrainConfig, default_face_config
    from kptkit.train_face import train_face

    commands.run(train_face, FaceTrainConfig, default_face_config)
