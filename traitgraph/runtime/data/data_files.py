"""What is wrong with a file of the user's data, told as the faults of a spec are: file, line, reason, repair.

The readers of dialogues, questionnaires and lexicons raise a `DataError` with every fault of a file at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from traitgraph.specs.source.diagnostics import Diagnostic, Span, error
from traitgraph.specs.source.positions import Document
from traitgraph.specs.source.yaml import read_text
from traitgraph.specs.source.yaml_errors import not_utf8

CODE = "TG212"
ALMOST = 0.85
"""Likeness (difflib's) from which an unknown field is taken for a slip: `splt`, `questions`, `stm`."""
SHOWN_FAULTS = 20
"""Faults of one file that are told; the others are counted."""


class DataError(ValueError):
    """Data that cannot be used: `faults` one by one; as text a line for each, `file:line:column: reason (repair)`."""

    def __init__(self, told: str | Iterable[Diagnostic]) -> None:
        self.faults = (error(CODE, told),) if isinstance(told, str) else tuple(told)
        super().__init__("\n".join(map(_line, self.faults)))


def _line(fault: Diagnostic) -> str:
    place = f"{fault.span.file}:{fault.span.line}:{fault.span.column}: " if fault.span else ""
    repair = f" ({'; '.join(fault.hint.splitlines())})" if fault.hint else ""
    return f"{place}{fault.message}{repair}"


def first_faults(faults: Sequence[Diagnostic], file: str, number: int | None = None) -> list[Diagnostic]:
    """The faults of a file up to `SHOWN_FAULTS`, and how many others it has; `number`: of all, where they are more."""
    more = (len(faults) if number is None else number) - SHOWN_FAULTS
    rest = [error(CODE, f"{file}: and {more:,} more fault{'s' * (more > 1)}")] if more > 0 else []
    return [*faults[:SHOWN_FAULTS], *rest]


def shown(path: Path) -> str:
    """A path as messages name it: from the working folder where it lies below that, else in full."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def text_of(path: Path) -> str:
    """The text of a UTF-8 file, without the mark that some editors put at its start. Raises DataError, OSError."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError([replace(not_utf8(shown(path), raw, problem.start), code=CODE)]) from problem


@lru_cache(maxsize=256)
def almost(name: str, keys: tuple[str, ...]) -> str | None:
    """The key that is a slip for a name which may be left out, such as `splt`; a silent slip would change results."""
    swapped = [key for key in keys if sorted(key.lower()) == sorted(name)]
    near = swapped or get_close_matches(name, keys, 1, ALMOST)
    return near[0] if near else None


class NotJson(NamedTuple):
    """Why a text is no JSON, and where reading stopped: line and column from 1."""

    reason: str
    line: int
    column: int


def json_value(text: str, object_pairs_hook: Callable[[list[tuple[str, object]]], object] | None = None) -> object:
    """The value of a JSON text, or a `NotJson`; `object_pairs_hook` as for `json.loads`."""
    try:
        found: object = json.loads(text, object_pairs_hook=object_pairs_hook)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False, default=str).encode()
        return found
    except UnicodeEncodeError:
        return NotJson("an escape from \\ud800 to \\udfff without its other half: no character", 1, 1)
    except json.JSONDecodeError as problem:
        reason = problem.msg[:1].lower() + problem.msg[1:].removesuffix(" at")
        return NotJson(f"not JSON: {reason}", problem.lineno, problem.colno)
    except (ValueError, RecursionError):
        return NotJson("JSON nested too deeply, or with a number of too many digits", 1, 1)


def not_json(text: str, file: str, found: NotJson, first_line: int = 1) -> Diagnostic:
    """The fault of a text that is no JSON; `first_line` is the line of the file that it starts at."""
    line = text.split("\n")[found.line - 1]
    return error(CODE, found.reason, Span(file, first_line + found.line - 1, found.column, 1, line))


def placed(path: Path, text: str) -> Document | None:
    """The values of a JSON text with their places, for messages; None where YAML reads it otherwise."""
    return read_text(text, path, shown(path))[0]


def fault_at(path: Path, span: Span | None, message: str, hint: str | None = None) -> Diagnostic:
    """A fault of a file at a place, or of the whole file."""
    return error(CODE, message if span else f"{shown(path)}: {message}", span, hint=hint)
