"""Raw rows of a data set, a JSONL file or one of the hub, and their fields: what is wrong with each row is gathered.

Knows nothing of what a row means. Fields go by our names; `names` maps them to those of the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from traitgraph.specs.source.diagnostics import Diagnostic, Span, error, near_hint, near_names

from .data_files import (
    CODE,
    SHOWN_FAULTS,
    DataError,
    NotJson,
    almost,
    first_faults,
    json_value,
    not_json,
    shown,
    text_of,
)

Made = TypeVar("Made")

ONE_A_LINE = "write one object a line: {...}"


class DialogueError(DataError):
    """Rows that cannot be used."""


class Row(NamedTuple):
    """One row: the file or data set, its line or number there, its text (none on the hub), and what it holds."""

    file: str
    line: int
    text: str
    value: object

    def fault(self, message: str, hint: str | None = None, field: str = "") -> Diagnostic:
        """Something wrong with it, marked at the value of a field if the row has it."""
        if not self.text:
            return error(CODE, f"{self.file}: row {self.line}: {message}", hint=hint)
        start, length = _place(self.text, field)
        return error(CODE, message, Span(self.file, self.line, start + 1, length, self.text), hint=hint)


def _place(text: str, field: str) -> tuple[int, int]:
    """Column from 0 and length of the value of a field in the text of a JSON object; of the whole where it is not."""
    found = field and re.search(rf"(?<!\\){re.escape(json.dumps(field, ensure_ascii=False))}\s*:\s*", text)
    if not found:
        return 0, len(text)
    return found.end(), json.JSONDecoder().raw_decode(text, found.end())[1] - found.end()


def json_lines(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file (UTF-8, lines end with a line feed only; blank lines are skipped).

    A line that is no JSON is a row with a `NotJson`. Raises DialogueError for a file of another form, OSError.
    """
    file, text, first = shown(path), text_of(path), True
    lines = text.split("\n")  # text may hold other Unicode line separators, so lines end at line feeds only
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        value = json_value(line)
        if first and not isinstance(value, dict) and not isinstance(json_value(text), NotJson):
            hint = f"{ONE_A_LINE}, without a list around them and commas between them"
            raise DialogueError([error(CODE, f"{file}: one JSON document, not lines of JSON", hint=hint)])
        if first and isinstance(value, NotJson) and not any(each.lstrip().startswith("{") for each in lines):
            hint = f"{ONE_A_LINE}; tables such as CSV are not read"
            raise DialogueError([replace(not_json(line, file, value, number), hint=hint)])
        first = False
        yield Row(file, number, line, value)


OURS = ("id", "trait", "level", "split", "prompt", "reply", "pair")
"""Names of fields that mean something to us."""
CHATS = ("messages", "conversations", "conversation")
"""Fields of rows that hold whole conversations."""
BESIDE_INSTRUCTION = ("input", "context", "system", "history")
"""Fields of instruction data (Alpaca, Dolly) that are a part of what is asked."""


class Fields:
    """The fields of one row by our names; `faults` gathers what is wrong with them, by cause."""

    __slots__ = ("faults", "key", "names", "row", "values")

    def __init__(self, row: Row, values: Mapping[str, object], names: Mapping[str, str], key: str) -> None:
        self.row, self.values, self.names, self.key = row, values, names, key
        self.faults: dict[object, Callable[[], Diagnostic]] = {}  # told of the first row only, and telling takes time

    def get(self, name: str) -> object:
        """What a field holds; None without it."""
        return self.values.get(self.names.get(name, name))

    def optional(self, name: str) -> object:
        """What a field holds that may be left out; a fault when another looks like a slip for it."""
        value = self.get(name)
        if value is None and (slip := almost(self.names.get(name, name), tuple(self.values))):
            field = self.names.get(name, name)
            self.faults[name, slip] = lambda: self.row.fault(f"unknown field '{slip}'", f"near: {field}", slip)
        return value

    def text(self, name: str) -> str:
        """The text of a field; a fault when there is none."""
        value = self.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if chat := next((each for each in CHATS if isinstance(self.values.get(each), list)), None):
            what = f"`{chat}` holds whole conversations, which are not read"
            hint = "give each row one prompt and one reply; a turn to be learnt is a row"
            self.faults["chat", chat] = lambda: self.row.fault(what, hint, chat)
        else:
            self.faults[name, type(value)] = lambda: self._without_text(name, value)
        return ""

    def word(self, name: str, known: Collection[str], default: str = "") -> str:
        """The word of a field, in small letters; a fault when it is none of those known."""
        value = str(self.optional(name) or default) if default else self.text(name)
        word = value.strip().lower()
        if value and word not in known:
            self.faults[name, value] = lambda: self.row.fault(
                f"unknown {name} '{value}'", near_hint(value, known), self.names.get(name, name)
            )
        return word

    def _without_text(self, name: str, value: object) -> Diagnostic:
        field = self.names.get(name, name)
        if field in self.values:
            return self.row.fault(f"`{field}` must hold text, not {json.dumps(value, default=str)}", field=field)
        others = [str(other) for other in self.values if other not in self.names.values()]
        near = near_names(field, others)
        if not near and len(free := [other for other in others if other not in OURS]) == 1:
            near = tuple(free)  # what else could it be
        known = f"near: {', '.join(near)}" if near else near_hint(field, map(str, self.values))
        repair = "rename it, or" if near else "if one of these is meant,"
        hint = f"{known}\n{repair} write: {self._mapped(name, near[0] if near else 'NAME')}"
        return self.row.fault(f"`{field}` is missing", hint if self.values else None, near[0] if near else "")

    def _mapped(self, name: str, theirs: str) -> str:
        """The line of a spec that maps one more field."""
        kept = {ours: other for ours, other in self.names.items() if other in self.values}
        fields = ", ".join(f"{ours}: {other}" for ours, other in {**kept, name: theirs}.items())
        return f"{self.key}: {{{'path' if self.row.text else 'id'}: {self.row.file}, fields: {{{fields}}}}}"

    def asked(self) -> str:
        """The text of the prompt; a fault where a field beside it is a part of it."""
        beside = [each for each in BESIDE_INSTRUCTION if each not in self.names.values()]
        if self.names.get("prompt") == "instruction" and (lost := next(filter(self.values.get, beside), None)):
            hint = "write both into one field of the file"
            what = f"`{lost}` is a part of what is asked, and only `instruction` is read"
            self.faults["lost", lost] = lambda: self.row.fault(what, hint, lost)
        return self.text("prompt")


def checked(
    rows: Iterable[Row], names: Mapping[str, str], made: Callable[[Fields, int], Made], key: str = "data"
) -> list[Made]:
    """What is made of each row and its number, counted from 1; `key` is that of the spec under which the data stand.

    Raises DialogueError with the faults of all rows, those of one cause once.
    """
    faults: dict[object, list[Callable[[], Diagnostic]]] = {}
    file = "the data"
    found: list[Made] = []
    for number, row in enumerate(rows, start=1):
        file, value = row.file, row.value
        if isinstance(value, NotJson):
            faults.setdefault(value.reason, []).append(partial(not_json, row.text, row.file, value, row.line))
        elif not isinstance(value, Mapping):
            faults.setdefault(Mapping, []).append(partial(row.fault, "a row is a mapping of fields: {...}"))
        else:
            fields = Fields(row, value, names, key)
            found.append(made(fields, number))
            for cause, tell in fields.faults.items():
                faults.setdefault(cause, []).append(tell)
    if faults:
        told = []
        for tellers in list(faults.values())[:SHOWN_FAULTS]:
            fault, count = tellers[0](), len(tellers)
            told.append(replace(fault, message=f"{fault.message}, in {count:,} rows") if count > 1 else fault)
        raise DialogueError(first_faults(told, file, len(faults)))
    return found
