"""What every call shares: how it is refused, what people are told, and where results are kept. Loads no compiler."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from traitgraph.specs.source.diagnostics import Diagnostic, render_text, without_escapes

if TYPE_CHECKING:
    from traitgraph.launchers.slurm.submit.launch import Launch
    from traitgraph.launchers.summary import RunSummary

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval")
"""Libraries without which no job runs; some calls need one of them as well."""

STORE_VARIABLE = "TRAITGRAPH_STORE"


class UsageError(Exception):
    """A call that cannot be carried out as it stands, with a sentence that says what to do. Nothing was started."""


def not_installed(libraries: Sequence[str]) -> str:
    """What is missing, and the line that installs it."""
    return f"not installed: {', '.join(libraries)}; to run jobs here: pip install 'traitgraph[run]'"


def check_installed() -> None:
    """Raise UsageError where a library that jobs need is missing."""
    if missing := [name for name in NEEDED if not _is_installed(name)]:
        raise UsageError(not_installed(missing))


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def from_home(text: str) -> Path:
    """A path as it is typed, `~` replaced."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  # a shell leaves `--store=~/x` alone; no such user is no error


def default_store() -> Path:
    """Where results are kept when nobody says: what the environment names, else a folder here."""
    return from_home(os.environ.get(STORE_VARIABLE) or ".traitgraph")


# ---------------------------------------------------------------- what people are told

Told: TypeAlias = "str | RunSummary | Launch | tuple[Diagnostic, ...]"
"""What a call has to say while it works: a sentence, how a run ended, what was submitted, or warnings."""

Tell = Callable[["Told"], None]


def tell_people(what: Told) -> None:
    """Say it on standard error."""
    if isinstance(what, tuple):
        say(render_text(what, colour_wanted()).removesuffix("\n"), painted=True)
    else:
        say(what if isinstance(what, str) else what.text())


def silent(what: object) -> None:
    """Say nothing."""


def say(text: str, *, painted: bool = False) -> None:
    """Tell the person at the terminal something that is not data; whether anybody hears it changes nothing.

    `painted`: it has colours of ours, and nothing of anybody else that could hold some.
    """
    try:
        print(text if painted else without_escapes(text), file=sys.stderr, flush=True)
    except OSError:  # a closed pipe or terminal
        write_to_nobody(sys.stderr)


def write_to_nobody(stream: TextIO) -> None:
    """Drop what is printed from now on: the reader of this stream went away, or its disk is full."""
    with suppress(OSError):
        stream.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def colour_wanted() -> bool:
    """True when standard error is a terminal (and nobody asked for plain text)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
