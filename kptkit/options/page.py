"""The page that `--help` prints."""

import shutil
import textwrap
from typing import Any

from kptkit.options.flag import REQUIRED, Flag, flags_of, notes_of

_INDENT = 26


def help_page(config: type, command: str, description: str, default: Any = None) -> str:
    """How a command is called, what it does, and its flags in groups.

    Args:
        config: the dataclass of its flags.
        default: an instance whose values are the defaults.
    """
    width = min(shutil.get_terminal_size().columns, 100)
    flags = flags_of(config, default)
    loose = [flag for flag in flags if flag.positional]
    usage = [f"usage: {command}", *(_place(flag) for flag in loose), "[FLAGS]"]
    blocks = [" ".join(usage), description.strip()]
    if loose:
        blocks.append("\n".join(["what to give:", *(_entry(flag, width) for flag in loose)]))
    named = [flag for flag in flags if not flag.positional]
    groups = list(dict.fromkeys(["", *(_group(flag) for flag in named)]))
    for home in groups:
        group = [flag for flag in named if _group(flag) == home]
        entries = [_entry(flag, width) for flag in group]
        heading = f"flags of {home}:" if home else "flags:"
        if not home:
            entries.insert(0, _row("--help, -h", "Show this page.", width))
        blocks.append("\n".join([heading, *entries]))
    return "\n\n".join(blocks)


def _group(flag: Flag) -> str:
    """The prefix of a flag; flags without one stand first."""
    return flag.name.removeprefix("--").rpartition(".")[0]


def _place(flag: Flag) -> str:
    shown = f"{flag.name} ..." if flag.kind.count == -1 else flag.name
    return shown if flag.default is REQUIRED else f"[{shown}]"


def _entry(flag: Flag, width: int) -> str:
    head = _place(flag) if flag.positional else f"{flag.name} {flag.kind.usage}".strip()
    if flag.kind.switch:
        head = f"{flag.name}, {flag.opposite}"
    said = _said(flag)
    if len(head) + 2 > width and flag.kind.choices:  # too many to stand beside the name
        head = f"{flag.name} NAME"
        said.insert(1, f"One of {', '.join(flag.kind.choices)}.")
    return _row(head, " ".join(said), width)


def _said(flag: Flag) -> list[str]:
    said = [notes_of(flag.home).get(flag.path[-1], "")]
    if flag.repeated:
        said.append("May be given more than once.")
    if flag.allowed:
        said.append(f"Accepted: {flag.allowed}.")
    if flag.default is REQUIRED:
        said.append("(required)")
    elif flag.kind.switch and flag.default is not None:
        said.append(f"(default: {'yes' if flag.default else 'no'})")
    elif flag.default not in (None, "", ()):
        said.append(f"(default: {flag.kind.text(flag.default)})")
    return [part for part in said if part]


def _row(head: str, text: str, width: int) -> str:
    """The name of a flag, and on its right what it is."""
    lines = textwrap.wrap(text, width - _INDENT, break_on_hyphens=False) or [""]
    head = f"  {head}"
    if len(head) > _INDENT - 2:
        return "\n".join([head, *(" " * _INDENT + line for line in lines)])
    rest = (" " * _INDENT + line for line in lines[1:])
    return "\n".join([f"{head:<{_INDENT}}{lines[0]}", *rest])
