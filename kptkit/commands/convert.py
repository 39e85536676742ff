"""Converts published weights into one kptkit file, with its SHA-256 beside it.

    kptkit convert --from coco-w32-256x192

downloads known weights, checks them, and puts them where PoseEstimator, --weights and --init find
them by that name; --from list prints the names, with scores and addresses. Weights without a direct
address are given as a file: --from coco-w32-256x192-official pose_hrnet_w32_256x192.pth.

    kptkit convert --from hrnet FILE.pth --recipe w32-256x192 --out mine.npz

reads a checkpoint that you trained with the authors' HRNet code or mmpose (0.x and 1.x; MSRA, DARK
and UDP); --from hourglass reads one of princeton-vl/pytorch_stacked_hourglass. --recipe is a recipe
of kptkit train hrnet or a known name, whose keypoints, convention, decoder and flip test are then
used; --keypoints gives a COCO file with other keypoints. A checkpoint of ilovepose/DarkPose looks
like one of HRNet's authors, but maps crops otherwise: --recipe coco-w32-256x192-darkpose.

    kptkit convert --from facenet-pytorch DIR

reads pnet.pt, rnet.pt and onet.pt of timesler/facenet-pytorch, the MTCNN authors' own weights in
PyTorch format, and writes the file that FaceDetector(weights="original") loads; --from
mtcnn-original downloads them. --from aittsmd DIR --out aittsmd.npz reads the TensorFlow 1
checkpoints PNet-*, RNet-* and ONet-* of AITTSMD/MTCNN-Tensorflow. Instead of a folder, three files
(for checkpoints, their prefixes, such as PNet-18) may be given: P, R, O.

All but the last read PyTorch's files: pip install "kptkit[weights]".
"""

from kptkit import flags, quiet
from kptkit.checks import check_name
from kptkit.convert.flags import PROJECTS, ConvertConfig
from kptkit.weights.known import KNOWN
from kptkit.wording import say


def main(config: ConvertConfig) -> None:
    """Reads, converts and writes weights, and checks that they can be read again."""
    if config.project == "list":
        print_known()
        return
    quiet.import_tensorflow()
    check_name("--from", config.project, (*KNOWN, *PROJECTS))
    from kptkit.convert import sources

    if config.project in ("hrnet", "hourglass"):
        lines, out = sources.own_pose(config)
    elif config.project in PROJECTS:
        lines, out = sources.own_cascade(config)
    else:
        lines, out = sources.published(config)
    for line in lines:
        say(line)
    print(f"written: {out}")


def print_known() -> None:
    """Prints names, scores and addresses of the known weights."""
    for name, row in KNOWN.items():
        where = " ".join(file.url or f"from a file: {file.name}" for file in row.files)
        print(f"{name}: {row.score}\n    {where}")


def command() -> None:
    """The command line."""
    flags.run(main, ConvertConfig, __doc__, tensorflow=False)
