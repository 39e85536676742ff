"""Every command that the README shows, today's and the earlier ones, is one that exists."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import keras
import pytest

from kptkit import cli, flags
from kptkit.losses import HeatmapLoss

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# As the README of 0.1.0 showed them, before there was an installed command.
EARLIER = """
python scripts/train_hrnet.py
python scripts/check_data.py X.json --images DIR          # every fault at once, a sheet to look at
python scripts/train_hrnet.py --data.train X.json --data.val Y.json --data.images DIR
python scripts/evaluate.py runs/finetune                  # AP table, one row a keypoint
python scripts/predict.py photo.jpg --run runs/finetune   # picture and json
python scripts/export.py runs/finetune                    # SavedModel in a version folder
python data_prep/make_pose_records.py --help
python scripts/train_hourglass.py                         # the demo set, PCK@0.2 of every stack
python scripts/train_hourglass.py --recipe hg8 --data.train ...
python scripts/predict.py --task face photo.jpg           # boxes, scores, five points
python scripts/train_mtcnn.py                             # the whole chain on the demo set
python data_prep/gen_pnet_samples.py --annotations wider_face_train_bbx_gt.txt --images DIR \\
    --landmarks trainImageList.txt --landmark-images DIR
python scripts/train_mtcnn.py --stage pnet --data.train data/pnet
python data_prep/gen_hard_samples.py --stage rnet --annotations ... --images DIR
python scripts/train_mtcnn.py --stage rnet --data.train data/rnet     # and the same for onet
python scripts/evaluate.py --task face --annotations wider_face_val_bbx_gt.txt --images DIR
python scripts/export.py --task face                      # the cascade as one SavedModel
python scripts/convert_weights.py --from list             # 26 names with their published scores
python scripts/convert_weights.py --from coco-w32-256x192 # fetches, checks, converts
python scripts/predict.py photo.jpg --weights coco-w32-256x192
python scripts/train_hrnet.py --init coco-w32-256x192 --recipe w32-256x192-dark --data.train ...
python scripts/export.py runs/demo                        # SavedModel, warm-up, model card, configs
python scripts/export.py runs/demo --format litert        # or onnx, each with its extra
python scripts/serve.py pose=runs/demo/export --out serving   # docker command, compose file
"""


def commands(text):
    """The words of each command in some lines of a shell."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.partition("  #")[0].split("&&"):
            words = shlex.split(part, comments=True)
            if words and words[0] in ("kptkit", "python"):
                yield words


def shown():
    """The commands in the README's blocks and in its running text."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.S))
    inline = re.findall(r"`(kptkit [a-z][^`]*--[^`]*)`", README.replace("\n", " "))
    return [*commands(blocks), *commands("\n".join(inline))]


@pytest.fixture
def parsed(monkeypatch):
    """Starts a command as far as its function; returns the flags that the function would get."""
    found = []
    run = flags.run

    def stop_before_main(main, config, description=None, default=None, tensorflow=True, tasks=None):
        run(found.append, config, description, default, tensorflow=False, tasks=tasks)

    monkeypatch.setattr(flags, "run", stop_before_main)
    # The files that it shows are nowhere.
    monkeypatch.setattr(flags, "check_paths", lambda parsed: None)

    def start(words):
        words = ["X.json" if word == "..." else word for word in words]
        if words[0] == "python":
            monkeypatch.setattr(sys, "argv", words[1:])
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        else:
            monkeypatch.setattr(sys, "argv", words)
            cli.main()
        return found.pop()

    return start


@pytest.mark.parametrize("words", [*shown(), *commands(EARLIER)], ids=" ".join)
def test_a_command_is_understood(parsed, words, capsys):
    if words[-1] == "--help":
        with pytest.raises(SystemExit) as stopped:
            parsed(words)
        assert stopped.value.code == 0
        assert "usage: kptkit" in capsys.readouterr().out
    elif words[-1] == "--format":  # named in a sentence, without a value
        parsed([*words[:3], "X.json", "--format", "lsp"])
    else:
        config = parsed(words)
        given = [word for word in words if word.startswith("runs/") or word.endswith(".txt")]
        assert all(value in str(config) for value in given)


def test_there_are_as_many_as_one_thinks():
    assert len(shown()) >= 25
    assert {words[1] for words in shown()} == {name.split()[0] for name in cli.COMMANDS}
    assert len(list(commands(EARLIER))) == 24


def test_every_script_is_in_the_table():
    rows = dict(re.findall(r"^\| `kptkit (.*?)` .*\| `(.*?)`.* \|$", README, re.M))
    assert {name.split(" ")[0] for name in rows} == {name.split()[0] for name in cli.COMMANDS}
    for folder in ("scripts", "data_prep"):
        for path in (ROOT / folder).glob("*.py"):
            assert path.name in README, path


def test_the_network_and_the_loss_that_it_shows(tmp_path, monkeypatch):
    """Its code is imported as the flags would, and learns."""
    from kptkit import foreign
    from kptkit.network import build_model
    from kptkit.recipes.pose import PoseRecipe

    (block,) = re.findall(r"```python\n(# mine\.py.*?)```", README, re.S)
    (tmp_path / "mine.py").write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    network = foreign.import_function("mine:network", "--network")
    loss = foreign.import_function("mine:loss", "--loss")
    del sys.modules["mine"]
    recipe = PoseRecipe(network="mine:network", input_size_wh=(32, 32), loss="mine:loss")
    model = build_model(recipe, 3, foreign=network)
    model.compile(keras.optimizers.Adam(0.01), HeatmapLoss((32, 32), loss.function))
    images = keras.random.uniform((4, 32, 32, 3), 0, 255, seed=0)
    keypoints = keras.ops.full((4, 3, 3), 16.0)
    history = model.fit(images, keypoints, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
