"""Which flags a command takes, where one of them decides what the others are."""

import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from kptkit import flags
from kptkit.errors import InputError


@dataclass(frozen=True)
class Near:
    task: Literal["near", "far"] = "near"
    steps: int = 1


@dataclass(frozen=True)
class Far:
    task: Literal["near", "far"] = "far"
    miles: float = 2.0


@pytest.fixture
def start(monkeypatch):
    """Runs a command of two tasks; what it was called with."""
    called = []

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        flags.run_task({"near": (called.append, Near), "far": (called.append, Far)})
        return called

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Near()),
        (["--steps", "3"], Near(steps=3)),
        (["--task", "near"], Near()),
        (["--task", "far", "--miles", "7"], Far(miles=7)),
        (["--miles", "7", "--task=far"], Far(miles=7)),
    ],
)
def test_a_task_has_its_own_flags(start, arguments, expected):
    assert start(*arguments) == [expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "fra"], "--task fra: expected one of near, far; did you mean far?"),
        (["--task", "far", "--steps", "3"], "--steps: a flag of --task near, not of command"),
        (["--miles", "3"], "--miles: a flag of --task far, not of command"),
        (["--task"], "--task: no value; expected a name"),
    ],
)
def test_flags_of_another_task_are_refused(start, arguments, message):
    with pytest.raises(InputError) as refused:
        start(*arguments)
    assert str(refused.value).startswith(message)


def test_help_is_that_of_the_task(start, capsys):
    with pytest.raises(SystemExit) as stopped:
        start("--task", "far", "--help")
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "--miles" in shown
    assert "--steps" not in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["--recipe"], None),
        (["recipe", "a"], None),
        (["--recipe", "a"], "a"),
        (["--recipe=a", "--other", "b"], "a"),
        (["--recipe", "a", "--recipe=b"], "b"),
    ],
)
def test_the_last_value_of_a_flag_counts(arguments, expected):
    assert flags.flag_value(arguments, "--recipe") == expected
