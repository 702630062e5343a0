"""Raw rows of a data set, of a file or of the hub, each with its place.

Knows nothing of what a row means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from traitgraph.specs.folders.tables import Table, TableError, arrow_rows, csv_rows
from traitgraph.specs.source.diagnostics import Diagnostic, Span, error

from .data_files import CODE, DataError, NotJson, fault_at, json_value, not_json, shown, text_of

ONE_A_LINE = "write one object a line: {...}"
_BLANK = re.compile(r"[ \t\r\n]*")


class DialogueError(DataError):
    """Rows that cannot be used."""


class Row(NamedTuple):
    """One row: the file or data set, its line or number there, its text, and what it holds."""

    file: str
    line: int
    text: str
    """As it stands in a text file; '' where only its number is known."""
    value: object
    key: str = "path"
    """Key of a spec that names the data: `path`, or `id` for the hub."""
    column: int = 0
    """Where the text begins in its first line, from 0; -1 for a line of a table."""

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"line {self.line}" if self.text else f"row {self.line}"

    def fault(self, message: str, hint: str | None = None, field: str = "") -> Diagnostic:
        """Something wrong with it, marked at the value of a field if the row has it."""
        if not self.text:
            return error(CODE, f"{self.file}: row {self.line}: {message}", hint=hint)
        start, length = (0, len(self.text)) if self.column < 0 else _place(self.text, field)
        above, _, left = self.text[:start].rpartition("\n")
        indent = 0 if above else max(0, self.column)
        line = " " * indent + left + self.text[start:].partition("\n")[0]
        column = indent + len(left)
        span = Span(self.file, self.line + self.text.count("\n", 0, start), column + 1, 0, line)
        return error(CODE, message, replace(span, length=max(1, min(length, len(line) - column))), hint=hint)


def _place(text: str, field: str) -> tuple[int, int]:
    """Column from 0 and length of the value of a field in the text of a JSON object; of the whole where it is not."""
    found = field and re.search(rf"(?<!\\){re.escape(json.dumps(field, ensure_ascii=False))}\s*:\s*", text)
    if not found:
        return 0, len(text)
    return found.end(), json.JSONDecoder().raw_decode(text, found.end())[1] - found.end()


def raw_rows(path: Path, table: Table | None = None) -> Iterator[Row]:
    """The rows of a file as it is written, or of a folder of a saved data set. Raises DialogueError, OSError."""
    if table is None:
        yield from json_rows(path)
        return
    file = shown(path)
    try:
        if table == "csv":
            yield from (Row(file, line, text, values, column=-1) for line, text, values in csv_rows(text_of(path)))
        else:
            yield from (Row(file, number, "", values) for number, _, values in arrow_rows(path, table))
    except TableError as problem:
        span = Span(file, problem.line, 1, max(1, len(problem.text)), problem.text) if problem.line else None
        raise DialogueError([fault_at(path, span, str(problem), problem.hint)]) from problem


def json_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSON file: one object a line (blank lines are skipped), or one list of objects; UTF-8.

    What is no JSON is a row with a `NotJson`. Raises DialogueError for a file of another form, OSError.
    """
    file, text, first = shown(path), text_of(path), True
    if text.lstrip().startswith("["):
        yield from _listed(file, text)
        return
    lines = text.split("\n")  # text may hold other Unicode line separators, so lines end at line feeds only
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        value = json_value(line)
        if first and not isinstance(value, dict) and not isinstance(json_value(text), NotJson):
            hint = f"{ONE_A_LINE}, or a list of them"
            raise DialogueError([error(CODE, f"{file}: one JSON document, not rows", hint=hint)])
        if first and isinstance(value, NotJson) and not any(each.lstrip().startswith("{") for each in lines):
            hint = f"{ONE_A_LINE}; the names of tables end in .csv or .parquet"
            raise DialogueError([replace(not_json(line, file, value, number), hint=hint)])
        first = False
        yield Row(file, number, line, value)


def _listed(file: str, text: str) -> Iterator[Row]:
    """The rows of one JSON list, with their places; a fault of the list ends it."""
    whole = json_value(text)
    if isinstance(whole, NotJson):
        raise DialogueError([not_json(text, file, whole)])
    at, line = text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))
    decoder = json.JSONDecoder()
    while text[start := _after_blank(text, at)] != "]":
        value, end = decoder.raw_decode(text, start)
        line += text.count("\n", at, start)
        yield Row(file, line, text[start:end], value, column=start - text.rfind("\n", 0, start) - 1)
        line += text.count("\n", start, end)
        at = _after_blank(text, end)
        line += text.count("\n", end, at)
        at += text[at] == ","


def _after_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
