"""pydantic's faults in the words of the language: a code, a sentence, a place, a repair.

One table says for each type of fault how it reads; a test walks every model of the language to prove it complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails, PydanticCustomError, ValidationError

from .axes import shown
from .diagnostics import Diagnostic, error, near_names
from .document import Document

Path = tuple[int | str, ...]
About = Mapping[str, Any]


class Wording(NamedTuple):
    """How one type of fault reads: code, sentence, repair (both filled from the fault), and whether the key is marked."""

    code: str
    message: str
    hint: Callable[[About], str | None] = lambda about: None
    at_key: bool = False


def _near(about: About) -> str | None:
    names = tuple(str(name) for name in about.get("names", ()))
    near = near_names(str(about.get("key", about.get("value", ""))), names)
    lines = ["near: " + ", ".join(near)] if near else []
    if names and (not near or len(names) <= 12):
        lines.append("there are: " + ", ".join(names[:40]) + (", ..." if len(names) > 40 else ""))
    return "\n".join(lines) or None


def _purpose(about: About) -> str | None:
    return f"`{about['key']}`: {about['what']}" if about.get("what") else None


def _expected(about: About) -> str | None:
    names = str(about["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    near = near_names(str(about["value"]), names)
    return ("near: " + ", ".join(near) + "\n" if near else "") + "there are: " + ", ".join(names)


WORDINGS: dict[str, Wording] = {
    # keys
    "unknown_key": Wording("TG101", "unknown key '{key}'", _near, at_key=True),
    "missing_key": Wording("TG102", "`{key}` is missing", _purpose, at_key=True),
    # types
    "string_type": Wording("TG103", "`{value}` is not text", lambda about: "quote it if it is text"),
    "int_type": Wording("TG103", "`{value}` is not a whole number"),
    "float_type": Wording("TG103", "`{value}` is not a number"),
    "bool_type": Wording("TG103", "`{value}` is neither true nor false"),
    "tuple_type": Wording("TG103", "`{value}` is not a list"),
    "dict_type": Wording("TG103", "`{value}` is not a mapping"),
    "model_type": Wording("TG103", "`{value}` is not a mapping"),
    "choice_type": Wording("TG103", "`{value}` is not a {noun}", _near),
    "number_type": Wording("TG103", "`{value}` is not a number", lambda about: "give: a number, a list, or {from, to, step}"),
    "number_whole": Wording("TG103", "{value} is not a whole number"),
    # values
    "literal_error": Wording("TG104", "`{value}` is not allowed here", _expected),
    "greater_than": Wording("TG104", "{value} is too small: it must be more than {gt}"),
    "greater_than_equal": Wording("TG104", "{value} is too small: it must be at least {ge}"),
    "less_than": Wording("TG104", "{value} is too large: it must be less than {lt}"),
    "less_than_equal": Wording("TG104", "{value} is too large: it must be at most {le}"),
    "finite_number": Wording("TG104", "{value} is not a finite number"),
    "number_finite": Wording("TG104", "{value} is not a finite number"),
    "string_too_short": Wording("TG104", "the text is too short"),
    "string_pattern_mismatch": Wording("TG104", "'{value}' is not a valid name here", lambda about: f"it must match {about['pattern']}"),
    "too_short": Wording("TG104", "the list is too short: at least {min_length}"),
    "value_error": Wording("TG104", "{error}"),
    # axes
    "axis_empty": Wording("TG105", "the axis is empty: it leaves nothing to run"),
    "axis_twice": Wording("TG105", "{value} stands twice in the axis"),
    "axis_step": Wording("TG105", "{message}"),
    "axis_long": Wording("TG105", "the range has {count} values; at most {longest} are allowed"),
    # names
    "name_unknown": Wording("TG106", "unknown {noun} '{value}'", _near),
    "name_ambiguous": Wording("TG106", "'{value}' is a folder here and may be a hub id", lambda about: "write ./{value} for the folder, {{id: {value}}} for the hub".format(**about)),
    "choice_unknown": Wording("TG106", "unknown {noun} '{value}'", _near),
    "choice_missing": Wording("TG102", "`{tag}` is missing: which {noun}?", _near, at_key=True),
    "form_unclear": Wording("TG107", "{message}", at_key=True),
    "path_missing": Wording("TG108", "there is no file or folder '{value}'", _near),
    "reported": Wording("", ""),
}  # fmt: skip


def diagnose(
    problems: ValidationError | PydanticCustomError | Exception,
    data: object,
    document: object,
    place: Callable[[Path], Path] = lambda path: path,
) -> list[Diagnostic]:
    """Every fault as a diagnostic. `data` is what was validated; `place` maps its paths to paths of the document."""
    if isinstance(problems, ValidationError):
        faults = problems.errors(include_url=False)
    elif isinstance(problems, PydanticCustomError):
        about = problems.context or {}
        faults = [ErrorDetails(type=problems.type, loc=(), msg=problems.message(), input=data, ctx=about)]
    else:
        raise problems
    found = document if isinstance(document, Document) else None
    return [_diagnostic(fault, data, found, place) for fault in faults if fault["type"] != "reported"]


def _diagnostic(
    fault: ErrorDetails, data: object, document: Document | None, place: Callable[[Path], Path]
) -> Diagnostic:
    wording = WORDINGS[fault["type"]]
    about = {"value": shown(fault["input"]), "message": fault["msg"], **fault.get("ctx", {})}
    written = as_written(fault["loc"], data)
    path = place(written)
    span = None
    if document:
        span = document.key_span(path) if wording.at_key and written else document.value_span(path)
    named = written if fault["type"] not in ("missing_key",) else fault["loc"]
    dotted = ".".join(str(step) for step in place(tuple(named)))
    return error(wording.code, wording.message.format(**about), span, dotted, wording.hint(about))


def as_written(location: Sequence[int | str], data: object) -> Path:
    """The longest part of a location that the data have: a shorthand has no inner keys, one value no index."""
    path: list[int | str] = []
    for step in location:
        if isinstance(data, Mapping) and step in data:
            data = data[step]
        elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            break
        path.append(step)
    return tuple(path)


def unknown_key(key: str, names: Sequence[str], path: Path, document: Document) -> Diagnostic:
    """A key that a mapping does not have, with the names that it has."""
    about = {"key": key, "names": tuple(names)}
    dotted = ".".join(map(str, path))
    return error("TG101", f"unknown key '{shown(key)}'", document.key_span(path), dotted, _near(about))
