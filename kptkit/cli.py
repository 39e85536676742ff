"""The installed command `kptkit`: finds a command, runs it, and ends with its exit code.

Exit codes: 0 done, 2 unusable input or flags, 128 and its number after a signal (130: Ctrl+C), 141
broken pipe.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple, NoReturn

from kptkit import __version__
from kptkit.errors import InputError
from kptkit.wording import printable


class Command(NamedTuple):
    """Where a command is, and what it does."""

    module: str
    """In `kptkit.commands`."""
    function: str
    """The function in it that reads the command line."""
    summary: str
    """A line in the list of commands."""


COMMANDS = {
    "predict": Command("predict", "command", "find keypoints or faces in pictures, and draw them"),
    "train hrnet": Command("train", "hrnet", "train an HRNet on body keypoints"),
    "train hourglass": Command("train", "hourglass", "train a stacked hourglass"),
    "train mtcnn": Command("train", "mtcnn", "train the face detector's three networks"),
    "evaluate": Command("evaluate", "command", "evaluate a run, weights or a face detector"),
    "export": Command("export", "command", "export to TF Serving, LiteRT or ONNX Runtime"),
    "convert": Command("convert", "command", "convert published weights into kptkit's own"),
    "serve": Command("serve", "command", "write the files of a server for exported models"),
    "data check": Command("data_check", "command", "list the faults of an annotation file"),
    "data records": Command("data_records", "command", "cut persons out, to train faster"),
    "data demo": Command("data_demo", "command", "draw the demo data set"),
    "data mine pnet": Command("data_mine", "pnet", "mine P-Net's training crops"),
    "data mine hard": Command("data_mine", "hard", "mine R-Net's and O-Net's training crops"),
    "data face-boxes": Command("data_face_boxes", "command", "replace face boxes by detected ones"),
    "data label-faces": Command("data_label_faces", "command", "label faces with a detector"),
    "data flic": Command("data_flic", "command", "extract FLIC from TensorFlow Datasets"),
}

_NOTES = """
kptkit COMMAND --help    the flags of a command
kptkit --version         the version
--debug                  with any command: shows where an error was raised"""


def main() -> None:
    """The command line: `kptkit COMMAND [FLAGS]`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--debug"]:
        arguments = [*arguments[1:], "--debug"]
    name = longest_beginning(arguments)
    rest = arguments[len(name.split()) :]
    if name in COMMANDS:
        start(name, rest)
    elif rest == ["--version"]:
        _finish(lambda: print(f"kptkit {__version__}"))
    elif rest and rest[0] in ("-h", "--help"):
        _finish(lambda: print(listing(name)))
    elif rest:
        _refuse(f"kptkit {name}".strip(), rest[0], following(name))
    else:
        print(listing(name), file=sys.stderr)
        sys.exit(2)


def longest_beginning(arguments: list[str]) -> str:
    """The most words from the left that are a command or the beginning of one."""
    name = ""
    for argument in arguments:
        if name in COMMANDS or argument not in following(name):
            break
        name = f"{name} {argument}".strip()
    return name


def following(beginning: str) -> list[str]:
    """The words that can follow the beginning of a command."""
    words = beginning.split()
    found = [name.split() for name in COMMANDS]
    begun = [name for name in found if name[: len(words)] == words]
    return list(dict.fromkeys(name[len(words)] for name in begun))


def listing(beginning: str = "") -> str:
    """The commands that begin with some words, with their summaries."""
    rows = [
        f"  {name:<18}{row.summary}"
        for name, row in COMMANDS.items()
        if name.split()[: len(beginning.split())] == beginning.split()
    ]
    head = f"kptkit {__version__}: face and body keypoints in TensorFlow and Keras 3"
    return "\n".join([head, "", *rows, _NOTES])


def start(name: str, arguments: list[str] | None = None) -> None:
    """Runs a command; all that a file in `scripts/` or `data_prep/` does.

    Args:
        name: as in `COMMANDS`.
        arguments: its flags; default: those of this process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # Flags are parsed from here, and the usage line begins with the first entry.
    sys.argv = [f"kptkit {name}", *(a for a in arguments if a != "--debug")]
    row = COMMANDS[name]
    _finish(
        lambda: getattr(import_module(f"kptkit.commands.{row.module}"), row.function)(),
        debug="--debug" in arguments,
    )


def _finish(work: Callable[[], object], debug: bool = False) -> None:
    """Does what a command does; exits with one line and a code if that fails."""
    try:
        try:
            work()
        finally:  # also after --help, which exits
            if sys.stdout:
                sys.stdout.flush()
    except KeyboardInterrupt:
        interrupted()
    except (InputError, OSError) as error:
        # An error of the system without a number is a fault of ours.
        if debug or (isinstance(error, OSError) and error.errno is None):
            raise
        _end(error)


def _end(error: BaseException) -> NoReturn:
    """Says in one line what went wrong, and exits with its code."""
    # Windows calls a closed pipe an invalid argument.
    invalid = os.name == "nt" and isinstance(error, OSError) and error.errno == errno.EINVAL
    if isinstance(error, BrokenPipeError) or invalid:
        _forget_output()
        sys.exit(141)
    if isinstance(error, OSError):
        print(f"error: {printable(_of_the_system(error))}", file=sys.stderr)
        _forget_output()
    else:
        print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(2)


def interrupted() -> NoReturn:
    """Exits after Ctrl+C, which is no error: also with --debug."""
    print("interrupted", file=sys.stderr)
    sys.exit(130)


def _of_the_system(error: OSError) -> str:
    """An error of the system in words, without its number."""
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if error.errno == errno.ENOENT and not _folder_exists():
        return "the current folder was removed; change into another one"
    return ": ".join([*(os.fsdecode(name) for name in names), error.strerror or "no reason given"])


def _folder_exists() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _forget_output() -> None:
    """Drops what could not be written, lest Python try and complain again when it ends."""
    with suppress(OSError, AttributeError):  # what stands for it may be no file, or nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(said: str, word: str, known: list[str]) -> NoReturn:
    """Exits because there is no such command."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    print(
        f"error: {said} {printable(word)}: no such command; expected one of "
        f"{', '.join(known)}{hint}",
        file=sys.stderr,
    )
    sys.exit(2)
