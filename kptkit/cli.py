"""How every command starts and ends: flags from a dataclass, one line and code 2 for an error."""

import os
import sys
from collections.abc import Callable
from typing import Any

from kptkit.errors import InputError

Config = Any


def run(
    main: Callable[[Config], None],
    config: type,
    default: Callable[[list[str]], Config] | None = None,
) -> None:
    """Parses the command line into a dataclass and calls `main` with it.

    Args:
        config: the dataclass whose fields are the flags.
        default: makes the values that flags override from the raw arguments, where one flag
            (`--recipe`) decides what the others start from.

    Exit codes: 0 done, 2 unusable input or flags, 130 interrupted, 141 the reader of a pipe left.
    """
    quieten()
    import tyro

    try:
        description = sys.modules["__main__"].__doc__
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


def run_task(tasks: dict[str, tuple[Callable[[Config], None], type]]) -> None:
    """As `run`, for a command of several tasks: `--task` says which; none: the first.

    Args:
        tasks: for each name its `main` and the dataclass of its flags, among them `task`.
    """
    name = flag_value(sys.argv[1:], "--task")
    # Of a task that does not exist, the first one's flags say what there is.
    run(*tasks.get(name, next(iter(tasks.values()))))


def flag_value(arguments: list[str], flag: str) -> str | None:
    """What a raw command line gives for a flag, the last time it does; None where it does not."""
    value = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
        elif argument == flag and place + 1 < len(arguments):
            value = arguments[place + 1]
    return value


def quieten() -> None:
    """Keeps TensorFlow's start-up chatter off the screen; call it before importing TensorFlow.

    Some of its lines are written before its own log level is read, so the error stream itself is
    put aside while it is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow and looks for devices with the error stream put aside."""
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
