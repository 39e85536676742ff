"""From the command line to a command's function: flags are the fields of a dataclass.

A command's module imports only what its flags need, so that `--help` is quick; its function imports
the rest when it is called.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import tyro

from kptkit import quiet

Config = TypeVar("Config")


def run(
    main: Callable[[Config], None],
    config: type[Config],
    description: str | None = None,
    default: Callable[[list[str]], Config] | None = None,
    tensorflow: bool = True,
) -> None:
    """Parses the command line into a dataclass and calls `main` with it.

    Args:
        config: the dataclass whose fields are the flags.
        description: the first lines of `--help`; default: the docstring of `config`.
        default: maps the raw arguments to the default values of the flags, for commands where one
            flag (`--recipe`) determines the defaults of others.
        tensorflow: whether `main` uses TensorFlow, which is then imported before, quietly.

    Raises:
        InputError: of `main`, or a flag's value is refused.
        SystemExit: 2, the flags cannot be parsed; 0, after `--help`.
    """
    arguments = sys.argv[1:]
    _trust_defaults()
    if default:
        parsed = tyro.cli(config, description=description, default=default(arguments))
    else:
        parsed = tyro.cli(config, description=description)
    quiet.quieten()
    if tensorflow:
        quiet.import_tensorflow()
    main(parsed)


def run_task(
    tasks: Mapping[str, tuple[Callable[..., None], type]], description: str | None = None
) -> None:
    """As `run`, for a command with several tasks; `--task` chooses one, by default the first.

    Args:
        tasks: by name, `main` and the dataclass of its flags, one of which is `task`.
        description: the first lines of `--help`, for every task.
    """
    name = flag_value(sys.argv[1:], "--task")
    # An unknown task is refused by the parser of the first task, which has all names.
    main, config = tasks.get(name or "", next(iter(tasks.values())))
    run(main, config, description)


def _trust_defaults() -> None:
    """Keeps tyro from checking the types of default values, which a type checker has done.

    For tuples it imports typeguard, and with that asyncio: a quarter of the time of `--help`. The
    function is private; should it be renamed, only that time is lost, and a test says so.
    """
    resolver = getattr(tyro, "_resolver", None)
    if hasattr(resolver, "is_instance"):
        setattr(resolver, "is_instance", lambda *_: True)  # noqa: B010  (mypy knows no such name)


def flag_value(arguments: list[str], flag: str) -> str | None:
    """The last value of a flag in the raw arguments; None if the flag is missing."""
    value = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
        elif argument == flag and place + 1 < len(arguments):
            value = arguments[place + 1]
    return value
