"""Runs a command: flags from a dataclass; for an error, one line and exit code 2."""

import difflib
import os
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from kptkit.errors import InputError

Config = Any


def start(module: str, function: str = "command", tensorflow: bool = True) -> None:
    """Runs a command of `kptkit.commands`; all that a script in `scripts/` does.

    Args:
        module: the command's module.
        function: the function in it that parses the command line.
        tensorflow: whether to import TensorFlow first, quietly; a command that does not need it
            starts much faster without.
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
        default: maps the raw arguments to the default values of the flags, for commands where one
            flag (`--recipe`) determines the defaults of others.
        description: the first lines of `--help`; default: the docstring of `config`.

    Exit codes: 0 done, 2 unusable input or flags, 130 interrupted, 141 broken pipe.
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
        if error.errno is None:  # not from the system (full disk, permissions)
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def run_task(
    tasks: dict[str, tuple[Callable[[Config], None], type]], description: str | None = None
) -> None:
    """As `run`, for a command with several tasks; `--task` chooses one, by default the first.

    Args:
        tasks: by name, `main` and the dataclass of its flags, one of which is `task`.
        description: the first lines of `--help`, for every task.
    """
    name = flag_value(sys.argv[1:], "--task")
    # An unknown task is refused by the parser of the first task, which has all names.
    main, config = tasks.get(name or "", next(iter(tasks.values())))
    run(main, config, description=description)


def flag_value(arguments: list[str], flag: str) -> str | None:
    """The last value of a flag in the raw arguments; None if the flag is missing."""
    value = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
        elif argument == flag and place + 1 < len(arguments):
            value = arguments[place + 1]
    return value


def check_name(flag: str, name: str, known: Collection[str]) -> None:
    """Checks the value of a flag against the known names.

    Raises:
        InputError: the name is unknown; the message suggests the most similar one.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{flag} {name}: expected one of {', '.join(known)}{hint}")


def quieten() -> None:
    """Silences the start-up messages of TensorFlow and albumentations, if imported later."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow and lists its devices with standard error sent to /dev/null.

    TensorFlow writes some messages before it reads its log level.
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
