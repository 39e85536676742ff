"""The flags of all commands: each is explained, and its page fits a terminal."""

import re
import sys
from importlib import import_module

import pytest

from kptkit import cli, flags
from kptkit.fields import Needs, Without
from kptkit.options.flag import REQUIRED, flags_of, notes_of
from kptkit.options.page import help_page
from kptkit.options.parse import Parsed, named

TASKS = [(name, "") for name in cli.COMMANDS] + [
    (name, "face") for name in ("predict", "evaluate", "export")
]


@pytest.fixture(params=TASKS, ids=lambda task: " ".join(task).strip())
def command(request, monkeypatch):
    """Dataclass, description and default of a command's task, as it would be parsed."""
    name, task = request.param
    monkeypatch.setattr(sys, "argv", [f"kptkit {name}", *(["--task", task] if task else [])])
    found = []

    def note(main, config, description=None, default=None, tensorflow=True, tasks=None):
        found.append((config, description or "", default([]) if default else None))

    monkeypatch.setattr(flags, "run", note)
    row = cli.COMMANDS[name]
    getattr(import_module(f"kptkit.commands.{row.module}"), row.function)()
    return found[0]


def test_every_flag_is_explained(command):
    config, _, default = command
    silent = [
        flag.name for flag in flags_of(config, default) if not notes_of(flag.home)[flag.path[-1]]
    ]
    assert silent == []


def test_its_page_fits_and_shows_no_python(command, monkeypatch):
    config, description, default = command
    monkeypatch.setenv("COLUMNS", "80")
    page = help_page(config, "kptkit x", description, default)
    below = page[page.index("\nflags:") :]
    assert max(map(len, below.splitlines())) <= 80
    assert not re.search(r"None|NoneType|\[bold\]|<class|\(default: \)|docs/", page)
    # Each value that may be left out of the line is in it once.
    names = re.findall(r"^  (--[\w.-]+)", below, re.M)
    assert sorted(names) == sorted(
        ["--help", *(f.name for f in flags_of(config, default) if not f.positional)]
    )


def test_conditions_name_flags_that_are_there(command):
    config, _, default = command
    parsed = Parsed("kptkit x", flags_of(config, default), {})
    for flag in parsed.flags:
        for mark in flag.marks:
            if isinstance(mark, Needs | Without):
                for condition in mark.conditions:
                    other, value = named(parsed, flag, condition)
                    assert other.name
                    known = other.kind.choices or ("True", "False")
                    assert not value or value in known or other.name == "--from"


def test_defaults_are_values_that_are_accepted(command):
    """The ranges of flags do not refuse what is used without them."""
    config, _, default = command
    for flag in flags_of(config, default):
        if flag.allowed and flag.default not in (None, REQUIRED):
            values = flag.default if isinstance(flag.default, tuple) else (flag.default,)
            assert all(value in flag.allowed for value in values), flag.name
