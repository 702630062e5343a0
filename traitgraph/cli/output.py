"""Data to standard output, talk to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from traitgraph.specs.source.diagnostics import without_escapes

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval", "matplotlib")
"""Libraries without which no job runs; some commands need one of them as well."""


def not_installed(libraries: Sequence[str]) -> str:
    """What is missing, and the line that installs it."""
    return f"not installed: {', '.join(libraries)}; to run jobs here: pip install 'traitgraph[run]'"


class UsageError(Exception):
    """A call that cannot be carried out as it stands: exit code 2, and a sentence that says what to do."""


class Plain:
    """A stream without the escapes of what is written to it: names, logs and messages of servers are not ours."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what cannot drive a terminal."""
        return self._stream.write(without_escapes(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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


def print_json(document: object) -> None:
    """Print one JSON document for machines."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")


def colour_wanted() -> bool:
    """True when standard error is a terminal (and nobody asked for plain text)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal's standard error while the block works: call the value with bytes done, of how many, of what.

    Draws nothing where standard error is no terminal, and leaves nothing behind.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def size_text(size: float) -> str:
    """Bytes as people read them: '1.2 GB', '3.4 MB', '56 kB', '7 bytes'; below 0.1 MB in kB."""
    if size < 1e3:
        return f"{size:.0f} bytes"
    if size < 1e5:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all. Raises UsageError when it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as problem:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {problem.strerror}") from problem
