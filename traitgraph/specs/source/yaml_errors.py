"""Why a file is no study, in our words: the file system, the encoding, the syntax, or a file for another command.

Translates what Python and PyYAML say, by one table. Must not know what a spec may hold.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .diagnostics import Diagnostic, Span, error, near_names
from .library import beside, is_file
from .positions import Document, SourceText

if TYPE_CHECKING:
    from yaml import MarkedYAMLError


def cannot_open(shown: str, path: Path, problem: OSError) -> Diagnostic:
    """The file is missing, a folder, or closed to us; names the files beside it that look alike."""
    if isinstance(problem, FileNotFoundError):
        near = near_names(path.name, (*beside(path, ".yaml"), *beside(path, ".yml")))
        return error("TG001", f"no such file: {shown}", hint="near: " + ", ".join(near) if near else None)
    if isinstance(problem, IsADirectoryError):
        return error("TG001", f"{shown} is a folder, not a spec file", None)
    return error("TG001", f"cannot read {shown}: {problem.strerror or type(problem).__name__}", None)


def not_utf8(shown: str, raw: bytes, offset: int) -> Diagnostic:
    """The first byte that is not UTF-8, at its line and column."""
    before = raw[:offset].decode("utf-8-sig", errors="replace")
    line = before.rpartition("\n")[2]
    rest = raw[offset:].split(b"\n", 1)[0].decode("utf-8", errors="replace")
    span = Span(shown, before.count("\n") + 1, len(line) + 1, 1, (line + rest).rstrip("\r"))
    return error("TG002", f"byte 0x{raw[offset]:02x} is not UTF-8", span, hint="save the file as UTF-8")


def control_character(source: SourceText, text: str) -> Diagnostic:
    """The first character that YAML does not allow, at its line and column."""
    match = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    before = text[: match.start()] if match else ""
    lines = SourceText("", before).lines
    span = source.span(len(lines) - 1, len(lines[-1]), 1)
    character = f"U+{ord(match[0]):04X}" if match else "a character"
    return error("TG002", f"{character} is a control character; a spec is text", span, hint="delete it")


class Complaint(NamedTuple):
    """How one complaint of the parser reads.

    `opening` moves the mark to where the unfinished part begins; `since` names that line where it is another one.
    """

    message: str
    hint: str
    opening: bool = False
    since: str = ""
    same_line: str = ""
    """What it says instead, and where the parser stopped, when the part begins on the same line."""


_ALIGN = "align it with the other keys of its block"
_BLOCK = " (the block begins at line {line})"
_AFTER_A_GLUED_KEY = ("mapping values are not allowed", "could not find expected ':'")
_SYNTAX: dict[str, Complaint] = {  # what libyaml or PyYAML says -> what we say
    "found a tab character": Complaint("a tab cannot indent or separate here", "use spaces"),
    "mapping values are not allowed": Complaint(
        "a second `:` cannot stand here", "quote the text, or align the key with its block"
    ),
    "undefined alias": Complaint("this alias has no anchor before it", "write &name at the value to repeat, above"),
    "found another document": Complaint("a spec is one document; `---` starts a second one", "one study per file"),
    "<document start>": Complaint("the document has ended above this line", "one study per file"),
    "expected ',' or ']'": Complaint(
        "this list has no `]`",
        "close it, or put a comma between the elements",
        True,
        same_line="a `,` or `]` is missing before this",
    ),
    "expected ',' or '}'": Complaint(
        "this mapping has no `}`",
        "close it, or put a comma between the entries",
        True,
        same_line="a `,` or `}` is missing before this",
    ),
    "unexpected end of stream": Complaint("this quote is never closed", "close it on the same line", True),
    "could not find expected ':'": Complaint("this key has no `:`", "write `key: value`", True),
    "expected '-' indicator": Complaint("a key among the elements of a list", _ALIGN, since=_BLOCK),
    "expected key": Complaint("the indentation does not fit the block above", _ALIGN, since=_BLOCK),
    "expected <block end>": Complaint("the indentation does not fit the block above", _ALIGN, since=_BLOCK),
    "second occurrence": Complaint(
        "this anchor name is used twice", "give it another name", since=" (first at line {line})"
    ),
    "unknown escape character": Complaint(
        "this backslash escape does not exist", "use single quotes: they keep backslashes"
    ),
    "version number": Complaint("a spec has no `%` directives", "delete this line"),
    "%YAML": Complaint("a spec has no `%` directives", "delete this line"),
}


def not_yaml(source: SourceText, complaint: MarkedYAMLError) -> Diagnostic:
    """The parser's complaint in our words, at its place; what the table lacks is passed on."""
    problem = complaint.problem or "the text cannot be read"
    opened, found = complaint.context_mark, complaint.problem_mark or complaint.context_mark
    wording = next((ours for said, ours in _SYNTAX.items() if said in problem), None)
    if wording and wording.same_line and opened and found and opened.line == found.line:
        wording = wording._replace(message=wording.same_line, opening=False)
    mark = opened if opened is not None and wording and wording.opening else found
    span = source.span(mark.line, mark.column, 1) if mark else source.span(0, 0, 1)
    if any(said in problem for said in _AFTER_A_GLUED_KEY) and (glued := _glued_key(source, span)):
        return error("TG004", "a space is missing after this `:`", glued, hint="write `key: value`")
    if wording is None:
        message, hint = _without_wording(problem, span)
        return error("TG004", message, span, hint=hint)
    since = wording.since.format(line=opened.line + 1) if opened is not None and opened.line + 1 != span.line else ""
    return error("TG004", wording.message + since, span, hint=wording.hint)


def _glued_key(source: SourceText, span: Span) -> Span | None:
    """The `:` of `key:value` in the line of a complaint or the one above: YAML reads no key there, and stops later."""
    for line in (span.line - 1, span.line - 2):
        if line >= 0 and (key := re.match(r"[ -]*[A-Za-z][\w-]*:(?=[^\s:/])", source.lines[line])):
            return source.span(line, key.end() - 1, 1)
    return None


def _without_wording(problem: str, span: Span) -> tuple[str, str | None]:
    if "cannot start any token" not in problem:
        return f"not YAML: {problem}", None
    character = span.text[span.column - 1 : span.column]
    if character == "\t":
        return "a tab cannot indent a line", "use spaces"
    return f"a value cannot start with {character!r}", "quote it"


A_RECIPE = "a recipe for one merge"

_HEAD = 200
"""Bytes of a file that a command has written which tell what it is."""

_WRITTEN = {
    "traitgraph plan": ("a saved plan", "run it: traitgraph run {file}"),
    "traitgraph lock": ("a lock", "compare a study with it: traitgraph lock SPEC --check -o {file}"),
}
"""Start of `format` in a JSON document of ours -> what it is, and its command."""


def is_saved_plan(path: Path) -> bool:
    """Whether a file is one that `plan -o` wrote."""
    return _format(path) == "traitgraph plan"


def written_by_us(path: Path, wanted: str = "a study") -> Diagnostic | None:
    """The message for a plan or lock in the place of a YAML file, however large it is; None for anything else."""
    told = _WRITTEN.get(_format(path) or "")
    return _told(path, *told, wanted) if told else None


def _format(path: Path) -> str | None:
    """What a JSON document of ours says that it is, without the number of its version."""
    if not is_file(path):  # a pipe that is opened here would be empty afterwards, or never end
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return None
    return next((known for known in _WRITTEN if head.startswith(b"{") and f'"{known} '.encode() in head), None)


def no_study(document: Document) -> Diagnostic | None:
    """The message for a merge recipe, ours or mergekit's, in the place of a study."""
    data = document.data
    if "study" in data or not ("merge_method" in data or {"base", "vectors"} <= data.keys()):
        return None
    what = "a recipe of mergekit's" if "merge_method" in data else A_RECIPE
    return _told(document.file, what, "merge it: traitgraph merge {file} -o DIR")


def no_recipe(document: Document) -> Diagnostic | None:
    """The message for a study in the place of a merge recipe."""
    if "study" not in document.data and "benchmarks" not in document.data:
        return None
    hint = "run it: traitgraph run {file}\nwrite its merged models: traitgraph materialize {file} -o DIR"
    return _told(document.file, "a study", hint, A_RECIPE)


def _told(path: Path, what: str, hint: str, wanted: str = "a study") -> Diagnostic:
    return error("TG012", f"{path} is {what}, not {wanted}", hint=hint.format(file=shlex.quote(str(path))))
