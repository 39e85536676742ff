"""From the command line to a command's function: flags are the fields of a dataclass.

A command's module imports only what its flags need, so that `--help` is quick; its function imports
the rest when it is called.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from kptkit import quiet
from kptkit.errors import InputError
from kptkit.options.page import help_page
from kptkit.options.parse import build, parse
from kptkit.options.paths import check_paths

Config = TypeVar("Config")

# The functions and dataclasses of a command's tasks, by name.
Tasks = Mapping[str, tuple[Callable[..., None], type]]


def run(
    main: Callable[[Config], None],
    config: type[Config],
    description: str | None = None,
    default: Callable[[list[str]], Config] | None = None,
    tensorflow: bool = True,
    tasks: Tasks | None = None,
) -> None:
    """Parses the command line into a dataclass and calls `main` with it.

    Args:
        config: the dataclass whose fields are the flags.
        description: the first lines of `--help`; default: the docstring of `config`.
        default: maps the raw arguments to the default values of the flags, for commands where one
            flag (`--recipe`) determines the defaults of others.
        tensorflow: whether `main` uses TensorFlow, which is then imported before, quietly.
        tasks: those of the command, if it has several; `config` is of the one that was chosen.

    Raises:
        InputError: of `main`, or a flag is unknown, missing, without effect, or its value refused.
        SystemExit: 0, after `--help`.
    """
    words = sys.argv[1:]
    command = _command(words, tasks)
    start = default(words) if default else None
    if _asks_for_help(words):
        description = description or inspect.getdoc(config) or ""
        print(help_page(config, command, description, start))
        sys.exit(0)
    elsewhere = [(name, other) for name, (_, other) in (tasks or {}).items() if other != config]
    parsed = parse(words, config, command, start, elsewhere)
    made = build(parsed, config, start)
    check_paths(parsed)
    quiet.quieten()
    if tensorflow:
        quiet.import_tensorflow()
    try:
        main(made)
    except InputError as error:
        raise InputError(_own_names(str(error), {flag.name for flag in parsed.flags})) from None


def _own_names(message: str, names: set[str]) -> str:
    """A message with this command's flags: some call --images what others call --data.images."""

    def own(found: re.Match) -> str:
        shorter = f"--{found[1]}"
        return shorter if found[0] not in names and shorter in names else found[0]

    return re.sub(r"--data\.([a-z-]+[a-z])", own, message)


def run_task(tasks: Tasks, description: str | None = None, tensorflow: bool = True) -> None:
    """As `run`, for a command with several tasks; `--task` chooses one, by default the first.

    Args:
        tasks: by name, `main` and the dataclass of its flags, one of which is `task`.
        description: the first lines of `--help`, for every task.
    """
    name = flag_value(sys.argv[1:], "--task")
    # An unknown task is refused by the parser of the first task, which has all names.
    main, config = tasks.get(name or "", next(iter(tasks.values())))
    run(main, config, description, tensorflow=tensorflow, tasks=tasks)


def _command(words: list[str], tasks: Tasks | None) -> str:
    """What was started, for messages; a script by its file's name."""
    command = sys.argv[0] if sys.argv[0].startswith("kptkit ") else Path(sys.argv[0]).name
    task = flag_value(words, "--task")
    return f"{command} --task {task}" if tasks and task in [*tasks][1:] else command


def _asks_for_help(words: list[str]) -> bool:
    before = words[: words.index("--")] if "--" in words else words
    return "--help" in before or "-h" in before


def flag_value(arguments: list[str], flag: str) -> str | None:
    """The last value of a flag in the raw arguments; None if the flag is missing."""
    value = None
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
        elif argument == flag and place + 1 < len(arguments):
            value = arguments[place + 1]
    return value
