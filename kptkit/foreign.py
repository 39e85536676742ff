"""Functions of the user's own, outside this package, named as `package.module:function`.

They are imported only where the user names them in a flag or an argument: a run or a weights file
that came from elsewhere cannot make this package import anything.
"""

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kptkit import files
from kptkit.errors import InputError

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True)
class ForeignFunction:
    """A function that was imported by its name."""

    name: str
    """package.module:function."""
    sha256: str
    """Of the source file that defines it."""
    function: Callable[..., Any]


def is_foreign(name: str) -> bool:
    """Whether a name has the form `package.module:function`."""
    return _NAME.fullmatch(name) is not None


def import_function(name: str, flag: str) -> ForeignFunction:
    """Imports a function from the environment or else from the current folder.

    Args:
        name: package.module:function.
        flag: what gave the name, for messages.

    Raises:
        InputError: there is no such module or function, or the module cannot be imported.
    """
    if not is_foreign(name):
        near = _of_path(name)
        hint = f"; did you mean {near}?" if near else ""
        raise InputError(f"{flag} {name}: expected package.module:function{hint}")
    module_name, _, function_name = name.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # last: it must not hide what is installed
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            near = _of_path(name)
            do = f"did you mean {near}?" if near else "run the command in the folder that holds it"
            raise InputError(
                f"{flag} {name}: no module {error.name} in {folder} or the environment; {do}"
            ) from None
        raise InputError(
            f"{flag} {name}: it imports {error.name}, which is missing{place(error)}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever a module of somebody else's raises
        raise InputError(f"{flag} {name}: importing it failed: {told(error)}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        where = getattr(module, "__file__", None) or "a module built into Python"
        raise InputError(f"{flag} {name}: no function {function_name} in {where}")
    try:
        source = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        source = None
    if source is None or not Path(source).is_file():
        raise InputError(f"{flag} {name}: expected a Python function with a source file")
    return ForeignFunction(name, files.sha256(source), function)


def told(error: BaseException) -> str:
    """In one line what an error of somebody else's code says, and where it was raised."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}){place(error)}"
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    return f"{type(error).__name__}: {text}{place(error)}"


def place(error: BaseException) -> str:
    """File and line of the user's code that raised an error, in brackets; empty if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(("<frozen", str(Path(__file__).parent)))
        and Path(importlib.__file__).parent not in Path(frame.filename).parents
    ]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _of_path(name: str) -> str:
    """The name of a module that was given as a path, such as `a.b:f` for a/b.py:f; else empty."""
    path, _, function = name.rpartition(":")
    module = path.removesuffix(".py").removeprefix("./").replace("/", ".").replace(os.sep, ".")
    near = f"{module}:{function}"
    return near if near != name and is_foreign(near) else ""
