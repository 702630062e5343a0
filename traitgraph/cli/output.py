"""Data to standard output, talk to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from traitgraph.api.calls import UsageError
from traitgraph.specs.source.diagnostics import without_escapes


class Plain:
    """A stream without the escapes of what is written to it: names, logs and messages of servers are not ours."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what cannot drive a terminal."""
        return self._stream.write(without_escapes(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def print_json(document: object) -> None:
    """Print one JSON document for machines."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")


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
