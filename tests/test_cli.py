"""The installed command: what is started, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from kptkit import __version__, cli
from kptkit.errors import InputError

ROOT = Path(__file__).parents[1]
# Where `pip install` puts the command.
INSTALLED = Path(sys.executable).with_name("kptkit.exe" if os.name == "nt" else "kptkit")

# What is printed is written when it is flushed, as it is for users.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run(*command, **settings):
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)


@pytest.mark.parametrize("command", [[str(INSTALLED)], [sys.executable, "-m", "kptkit"]])
def test_the_command_and_the_module_are_one(command, tmp_path):
    done = run(*command, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"kptkit {__version__}\n")
    done = run(*command, "serve", "pose=nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nowhere: no version of a model; export one: kptkit export\n"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "predict"),
        (["--help"], 0, "predict"),
        (["-h"], 0, "data mine hard"),
        (["train"], 2, "train mtcnn"),
        (["train", "--help"], 0, "train hrnet"),
        (["data", "mine", "--help"], 0, "data mine pnet"),
        (["nothing"], 2, "error: kptkit nothing: no such command; expected one of predict, train,"),
        (["exprot"], 2, "data; did you mean export?"),
        (["data", "chek", "X.json"], 2, "kptkit data chek: no such command; expected one of check"),
        (["--recipe", "demo"], 2, "kptkit --recipe: no such command"),
    ],
)
def test_what_is_not_a_whole_command(monkeypatch, capsys, arguments, code, expected):
    monkeypatch.setattr(sys, "argv", ["kptkit", *arguments])
    if code:
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == code
    else:
        cli.main()
    shown = capsys.readouterr()
    assert expected in (shown.err if code else shown.out)
    assert not (shown.out if code else shown.err)


def test_a_list_of_commands_fits_a_terminal_and_names_each_once():
    lines = cli.listing().splitlines()
    assert max(map(len, lines)) <= 80
    for name in cli.COMMANDS:
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1
    assert "predict" not in cli.listing("data")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there_and_has_its_script(name):
    row = cli.COMMANDS[name]
    assert callable(getattr(import_module(f"kptkit.commands.{row.module}"), row.function))
    scripts = [p for folder in ("scripts", "data_prep") for p in (ROOT / folder).glob("*.py")]
    (script,) = (p for p in scripts if f'cli.start("{name}")' in p.read_text())
    assert len(script.read_text().splitlines()) < 15
    assert len(scripts) == len(cli.COMMANDS)


def test_help_imports_nothing_that_takes_long():
    """Each command in turn, in one fresh process."""
    code = (
        "import contextlib, io, sys\n"
        "from kptkit import cli\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'cv2', 'scipy', 'tqdm', 'typeguard', 'asyncio'}\n"
        "for name in cli.COMMANDS:\n"
        "    for task in ([], ['--task', 'face']):\n"
        "        said = io.StringIO()\n"
        "        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):\n"
        "            cli.start(name, [*task, '--help'])\n"
        "        assert f'usage: kptkit {name} ' in said.getvalue(), (name, said.getvalue())\n"
        "        found = heavy & set(sys.modules)\n"
        "        assert not found, f'kptkit {name} {task} --help imports {found}'\n"
        "        if name not in ('predict', 'evaluate', 'export'):\n"
        "            break\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def failing(monkeypatch):
    """Starts a command that fails by a given error; returns its exit code, None if it raises."""

    def start(error, *arguments):
        def fail():
            raise error

        module = import_module("kptkit.commands.serve")
        monkeypatch.setattr(module, "command", fail)
        monkeypatch.setattr(sys, "argv", ["kptkit", "serve", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code

    return start


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("x.json: empty"), 2, "error: x.json: empty\n"),
        (PermissionError(13, "Permission denied", "out"), 2, "error: out: Permission denied\n"),
        (OSError(18, "Not on one disk", "a", None, b"b"), 2, "error: a: b: Not on one disk\n"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device\n"),
    ],
)
def test_an_error_is_one_line_unless_one_debugs(failing, capsys, error, code, said):
    assert failing(error) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(said)
    assert shown.err.count("\n") == 1
    with pytest.raises(type(error)):
        failing(error, "--debug")


@pytest.mark.parametrize("arguments", [[], ["--debug"]])
def test_ctrl_c_is_no_error_to_look_into(failing, capsys, arguments):
    assert failing(KeyboardInterrupt(), *arguments) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_while_the_command_is_imported():
    code = (
        "import sys\n"
        "from kptkit import __main__\n"
        "class Stops:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'kptkit.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stops())\n"
        "__main__.main()\n"
    )
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that is in use")
def test_a_current_folder_that_was_removed_is_named(tmp_path):
    code = (
        "import os, sys\n"
        "os.rmdir(os.getcwd())\n"
        "sys.argv = ['kptkit', 'data', 'demo', '--out', 'x']\n"
        "from kptkit import cli\n"
        "cli.main()\n"
    )
    (tmp_path / "here").mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = run(sys.executable, "-c", code, cwd=tmp_path / "here", env=environment)
    assert done.returncode == 2
    said = "error: the current folder was removed; change into another one\n"
    assert done.stderr.endswith(said)


@pytest.mark.parametrize("error", [ValueError("ours"), OSError("no number")])
def test_a_fault_of_ours_is_not_taken_for_the_users(failing, error):
    with pytest.raises(type(error), match=str(error)):
        failing(error)


@pytest.mark.parametrize(
    "arguments", [["--debug", "serve"], ["serve", "--debug"], ["serve", "--batching", "--debug"]]
)
def test_debug_stands_anywhere_and_is_no_flag_of_the_command(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["kptkit", *arguments, "pose=nowhere"])
    with pytest.raises(InputError, match="nowhere: no version of a model"):
        cli.main()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["data", "-h"], ["serve", "-h"]])
def test_a_reader_that_went_away_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kptkit", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, env=BUFFERED)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "-h"]])
def test_a_full_disk_is_one_line(arguments):
    command = [sys.executable, "-m", "kptkit", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, env=BUFFERED
        )
    assert done.returncode == 2
    assert done.stderr == b"error: No space left on device\n"
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="a process gets Ctrl+C otherwise on Windows")
@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_ctrl_c_is_130_and_one_line(tmp_path, seconds):
    """As a terminal sends it: to the command and its workers at once, when they have begun."""
    command = [sys.executable, "-m", "kptkit", "data", "demo", "--out", "demo", "--workers", "2"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stderr.read(8) == "\ndrawing"  # the progress bar
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted"
    assert out == ""
    assert not [path for path in tmp_path.iterdir() if path.name == "demo"]
