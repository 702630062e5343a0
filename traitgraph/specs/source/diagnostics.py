"""Messages about a spec: data here, text and JSON made from it in one place each.

Must not know what any message means; `codes.py` explains each code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .aliases import ALIASES
from .credentials import masked

OVERRIDE = "override"
"""File name of a span that lies in an override of the command line."""

LINE_WIDTH = 120
"""Longer source lines are shown as a window of this many characters around the fault."""


@dataclass(frozen=True)
class Span:
    """A place in a source: 1-based line and column, length in characters, and the whole source line.

    For an override: file is "override", line 1, and text is the override as it was typed.
    """

    file: str
    line: int
    column: int
    length: int
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One fault or remark: what is wrong (`message`), where (`span`, and dotted `path`), and the repair (`hint`).

    A hint has lines such as "near: bfi, mini-ipip" or "give: one of sft, dpo"; each is printed on a line of its own.
    """

    code: str
    severity: Literal["error", "warning"]
    message: str
    span: Span | None
    path: str
    hint: str | None = None


class SpecError(Exception):
    """A spec that cannot be used; carries every diagnostic and prints as the whole text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_text(self.diagnostics)


def error(code: str, message: str, span: Span | None = None, path: str = "", hint: str | None = None) -> Diagnostic:
    """A diagnostic that makes the spec unusable."""
    return Diagnostic(code, "error", message, span, path, hint)


def warning(code: str, message: str, span: Span | None = None, path: str = "", hint: str | None = None) -> Diagnostic:
    """A diagnostic that the user should read, but that stops nothing."""
    return Diagnostic(code, "warning", message, span, path, hint)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether at least one diagnostic is an error."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics by place, each once; those without a place come last."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=_place))


def _place(diagnostic: Diagnostic) -> tuple[bool, str, int, int, str, str]:
    span = diagnostic.span
    where = (False, span.file, span.line, span.column) if span else (True, "", 0, 0)
    return (*where, diagnostic.code, diagnostic.message)


def near_names(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """At most `count` known names that `name` stands for by habit (`aliases.py`) or looks like, the likeliest first."""
    import difflib

    lowered = {_plainly(candidate): candidate for candidate in known}
    wanted = _plainly(name)[:100]  # difflib is quadratic, and nobody mistypes a novel
    meant = [plain for alias in (wanted, *ALIASES.get(wanted, ())) if (plain := _plainly(alias)) in lowered]
    if not meant:
        meant = difflib.get_close_matches(wanted, lowered, count, 0.6)
        longer = len(wanted) >= 3
        meant += [low for low in lowered if longer and (low.startswith(wanted) or wanted.startswith(low + "-"))]
    return tuple(lowered[plain] for plain in dict.fromkeys(meant))[:count]


def near_hint(name: str, known: Iterable[str]) -> str | None:
    """The repair of a name that is not known: those near to it, and all of them where they are few or none is near."""
    names = tuple(known)
    near = near_names(name, names)
    lines = ["near: " + ", ".join(near)] if near else []
    if names and (not near or len(names) <= 6):
        lines.append("there are: " + ", ".join(names[:40]) + (", ..." if len(names) > 40 else ""))
    return "\n".join(lines) or None


def _plainly(name: str) -> str:
    return name.lower().replace("_", "-")


def render_text(diagnostics: Iterable[Diagnostic], colour: bool = False) -> str:
    """The diagnostics as people read them, by place, with the source line and a mark under the fault."""
    return "\n".join(_text(diagnostic, colour) for diagnostic in in_order(diagnostics))


def _text(diagnostic: Diagnostic, colour: bool) -> str:
    head = f"{diagnostic.severity}[{diagnostic.code}]"
    lines = [_paint(head, diagnostic.severity, colour) + f": {printable(masked(diagnostic.message))}"]
    gutter = " " * len(str(diagnostic.span.line)) if diagnostic.span else ""
    if diagnostic.span:
        lines += _quote(diagnostic.span, gutter, diagnostic.severity, colour)
    notes = masked(diagnostic.hint).splitlines() if diagnostic.hint else []
    lines += [f"{gutter} = {printable(note)}" for note in [*notes, f"see: traitgraph explain {diagnostic.code}"]]
    return "\n".join(lines) + "\n"


def _quote(span: Span, gutter: str, severity: str, colour: bool) -> list[str]:
    where = span.file if span.file == OVERRIDE else f"{span.file}:{span.line}:{span.column}"
    text, column = _window(span)
    mark = "^" * max(1, min(span.length, len(text) - column))
    return [
        f"{gutter}--> {without_escapes(where)}",
        f"{gutter} |",
        f"{span.line} | {text}".rstrip(),
        f"{gutter} | {' ' * column}{_paint(mark, severity, colour)}",
    ]


def _window(span: Span) -> tuple[str, int]:
    """The part of the source line that is shown, and the 0-based column of the fault in it."""
    column, text = max(0, span.column - 1), masked(span.text, is_source=True)
    if len(text) <= LINE_WIDTH:
        return printable(text), column
    start = max(0, min(column - LINE_WIDTH // 3, len(text) - LINE_WIDTH))
    cut = text[start : start + LINE_WIDTH]
    before = "..." if start else ""
    after = "..." if start + LINE_WIDTH < len(text) else ""
    return before + printable(cut) + after, column - start + len(before)


def odd_character(value: object, *, number: bool) -> str | None:
    """The first character of a text that looks like nothing, or in a number like another one, by its name."""
    import unicodedata

    for letter in value if isinstance(value, str) else "":
        unseen = unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cf", "Cc", "Co") and letter not in " \t\r\n"
        if unseen or (number and not letter.isascii() and not letter.isalpha()):
            name = unicodedata.name(letter, "a character without a name")
            return f"it holds U+{ord(letter):04X}, {name}: type it again in plain characters"
    return None


def printable(text: str) -> str:
    """The text with every control character replaced, so that a spec cannot drive the terminal it is shown on."""
    return "".join(" " if letter == "\t" else letter if letter.isprintable() else "�" for letter in text)


_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # whole commands: colours, titles, links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def without_escapes(text: str) -> str:
    """The text without what would drive a terminal or turn its letters round; lines and tabs stay.

    >>> without_escapes("a \x1b[31mred\x1b[0m word\x07")
    'a red word'
    """
    if text.replace("\n", "").isprintable():  # almost always, and found out a hundred times faster
        return text
    return _ESCAPES.sub("", re.sub("\r\n?", "\n", text))


def _paint(text: str, severity: str, colour: bool) -> str:
    if not colour:
        return text
    return f"\x1b[1;{31 if severity == 'error' else 33}m{text}\x1b[0m"


def render_json(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    """The diagnostics as plain data: {"ok", "diagnostics": [{"code", "severity", "message", "file", ...}]}."""
    return {"ok": not has_errors(diagnostics), "diagnostics": [_plain(each) for each in in_order(diagnostics)]}


def _plain(diagnostic: Diagnostic) -> dict[str, object]:
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": masked(diagnostic.message),
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "path": masked(diagnostic.path),
        "hint": diagnostic.hint and masked(diagnostic.hint),
    }
