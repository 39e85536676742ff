"""How every command starts and ends: flags from a dataclass, one line and code 2 for an error."""

import difflib
import os
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from kptkit.errors import InputError

Config = Any


def start(module: str, function: str = "command", tensorflow: bool = True) -> None:
    """Runs a command of `kptkit.commands`; what a script does.

    Args:
        module: its file.
        function: the function in it that reads the command line.
        tensorflow: whether TensorFlow is imported first, quietly; a command that never needs it
            starts much sooner without.
    """
    if tensorflow:
        import_tensorflow_quietly()
    getattr(import_module(f"kptkit.commands.{module}"), function)()


def run(
    main: Callable[[Config], None],
    config: type,
    default: Callable[[list[str]], Config] | None = None,
    description: str | None = None,
) -> None:
    """Parses the command line into a dataclass and calls `main` with it.

    Args:
        config: the dataclass whose fields are the flags.
        default: makes the values that flags override from the raw arguments, where one flag
            (`--recipe`) decides what the others start from.
        description: what `--help` says first; default: the docstring of `config`.

    Exit codes: 0 done, 2 unusable input or flags, 130 interrupted, 141 the reader of a pipe left.
    """
    quieten()
    import tyro

    try:
        start = {"default": default(sys.argv[1:])} if default else {}
        main(tyro.cli(config, description=description, **start))
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno is None:  # not the system's: no full disk, no folder without permission
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def run_task(
    tasks: dict[str, tuple[Callable[[Config], None], type]], description: str | None = None
) -> None:
    """As `run`, for a command of several tasks, of which `--task` chooses one; default: the first.

    Args:
        tasks: by name, `main` and the dataclass of its flags, one of which is `task`.
        description: what `--help` says first, for every task.
    """
    name = flag_value(sys.argv[1:], "--task")
    # An unknown task is refused by the parser of the first one, which knows all names.
    main, config = tasks.get(name or "", next(iter(tasks.values())))
    run(main, config, description=description)


def flag_value(arguments: list[str], flag: str) -> str | None:
    """The last value that a raw command line gives for a flag; None if it is not there."""
    value = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
        elif argument == flag and place + 1 < len(arguments):
            value = arguments[place + 1]
    return value


def check_name(flag: str, name: str, known: Collection[str]) -> None:
    """Refuses a name that is not known.

    Raises:
        InputError: with the nearest name that is.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{flag} {name}: expected one of {', '.join(known)}{hint}")


def quieten() -> None:
    """Silences start-up messages of TensorFlow and albumentations that are imported after this."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow and lists its devices while the error stream goes to /dev/null.

    Some of its messages are written before it reads its own log level.
    """
    quieten()
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(null)
        os.close(stderr)
