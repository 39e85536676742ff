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

from kptkit import cli

if __name__ == "__main__":
    # Only here: the processes that mine import this file too, and need nothing of it.
    cli.import_tensorflow_quietly()

    from kptkit.train.face import train_face
    from kptkit.train.flags import FaceTrainConfig, default_face_config

    cli.run(train_face, FaceTrainConfig, default_face_config)
