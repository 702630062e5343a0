"""Contexts: what stands around a subject, whatever the method, and says nothing of a trait: a background, a pressure.

An axis of named texts, or a file of them, one a row (biographies, personas). Must not know how a subject is made.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, StringConstraints
from pydantic_core.core_schema import ValidationInfo

from traitgraph.specs.fields.base import FieldForm, Spec
from traitgraph.specs.fields.context import ReadContext, context_of
from traitgraph.specs.fields.pydantic_errors import each_read, existing, fault, located, validated
from traitgraph.specs.fields.references import NAME, Named
from traitgraph.specs.fields.wording import WORDINGS, shown
from traitgraph.specs.folders.tables import TableError, TableRow, reach, rows_of
from traitgraph.specs.source.diagnostics import Diagnostic, Span, error, near_hint

SHOWN_ROWS = 5
"""Rows with one fault that are named; the others are counted."""
Part = Literal["name", "system", "user"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ContextText(Spec):
    """What one context says: one of the two texts, or both."""

    system: Text | None = Field(None, description="In the system message, before the text of a prompt that is there.")
    user: Text | None = Field(
        None, description="In front of every user message, before the text of a prompt that is there."
    )


class SubjectContext(Named, ContextText):
    """A context with its name; one without a text is none."""


class ContextFile(Spec):
    """A file of contexts, one a row."""

    path: str = Field(min_length=1, description="A .jsonl, .csv or .parquet file; relative to the spec's folder.")
    fields: dict[Part, str] = Field(
        {}, description="Our field (name, system, user): the file's field, or a path inside one (`meta.id`)."
    )


class ContextAxis(FieldForm):
    """Annotation of an axis of contexts; the study holds them in the order they are written."""

    def read(self, value: object, info: ValidationInfo) -> tuple[SubjectContext, ...]:
        """The contexts of a mapping from names, or of a file. Raises pydantic's errors, those of all together."""
        if not isinstance(value, Mapping):
            raise fault("dict_type")
        if isinstance(value.get("path"), str):
            return _of_file(validated(ContextFile, value), context_of(info))
        if not value:
            raise fault("axis_empty")
        each_read(dict(zip(value, value, strict=True)), _name)
        said = each_read(value, lambda text: _texts(text, value))
        return tuple(_joined(name, parts, value) for name, parts in zip(value, said, strict=True))


Contexts = Annotated[tuple[SubjectContext, ...], ContextAxis()]
"""An axis of contexts: a mapping from names to texts, null for none, or lists of names; or a file of them."""


def _name(name: object) -> None:
    if not re.fullmatch(NAME, str(name)):
        raise fault("context_name", value=shown(name))


def _texts(written: object, known: Mapping[str, object]) -> tuple[str, ...] | ContextText:
    """The text of one context, or the names that a combination joins, each of a context with a text of its own."""
    if written is None:
        return ContextText()
    if isinstance(written, Mapping):
        text = validated(ContextText, written)
        if text == ContextText():
            raise fault("form_missing", noun="context", keys="`system` or `user`")
        return text
    if not isinstance(written, list | tuple):
        raise fault("choice_type", noun="context", value=shown(written), names=())
    if not written:
        raise fault("axis_empty")
    plain = tuple(name for name, text in known.items() if not isinstance(text, list | tuple))

    def part(name: object) -> str:
        if isinstance(name, str) and name in plain:
            return name
        kind = "context_combined" if isinstance(name, str) and name in known else "name_unknown"
        raise fault(kind, noun="context", value=shown(name), names=plain)

    names = each_read(written, part)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise located(place, name, "axis_twice", value=name)
    return tuple(names)


def _joined(name: str, said: tuple[str, ...] | ContextText, known: Mapping[str, Any]) -> SubjectContext:
    parts = [said] if isinstance(said, ContextText) else [ContextText(**(known[each] or {})) for each in said]
    texts = {key: "\n\n".join(filter(None, (getattr(part, key) for part in parts))) for key in ("system", "user")}
    return SubjectContext(name=name, **{key: text or None for key, text in texts.items()})


# -- a file, one context a row --


class _RowFault(NamedTuple):
    """What is wrong with a row; rows with one `cause` are told together, with the message of the first."""

    cause: str
    message: str
    hint: str | None = None


def _of_file(written: ContextFile, context: ReadContext) -> tuple[SubjectContext, ...]:
    path = existing(written.path, context.folder, "path", ".jsonl")
    found: dict[str, tuple[SubjectContext, TableRow]] = {}
    faults: dict[str, list[tuple[TableRow, _RowFault]]] = {}
    try:
        for row in rows_of(path):
            made = _of_row(row, written.fields)
            if isinstance(made, SubjectContext) and (first := found.setdefault(made.name, (made, row))[1]) is not row:
                made = _RowFault("twice", f"the name '{made.name}' stands in {_unit(row)} {first.number:,} too")
            if isinstance(made, _RowFault):
                faults.setdefault(made.cause, []).append((row, made))
    except TableError as problem:
        unread = TableRow(problem.line, problem.text, {})
        faults["unread"] = [(unread, _RowFault("unread", str(problem), problem.hint))]
    if not found and not faults:
        raise located("path", written.path, "file_empty", value=written.path)
    if faults:
        context.diagnostics += (_told(str(context.folder / written.path), rows) for rows in faults.values())
        raise fault("reported")
    return tuple(made for made, _ in found.values())


def _of_row(row: TableRow, mapped: Mapping[Part, str]) -> SubjectContext | _RowFault:
    whole: object = row.values
    if not isinstance(whole, dict):
        return _RowFault("row", "a row is a mapping of fields: {...}")
    names: dict[Part, str] = {"name": "name", "system": "system", "user": "user", **mapped}
    said: dict[Part, str] = {}
    for ours, theirs in names.items():
        value = reach(whole, theirs)
        if value is None and (ours == "name" or (ours in mapped and theirs not in whole)):
            return _lacking(ours, f"`{theirs}` is missing", theirs, whole)
        if value is not None and not isinstance(value, str) and not (ours == "name" and isinstance(value, int)):
            return _RowFault(f"type {ours}", f"`{theirs}` must hold text, not {shown(value)}")
        if value is not None and not (text := str(value).strip()):
            return _RowFault(f"empty {ours}", f"`{theirs}` is empty")
        said |= {ours: text} if value is not None else {}
    if said.keys() == {"name"}:
        return _lacking("system", "the row has no `{system}` and no `{user}`".format(**names), names["system"], whole)
    if not re.fullmatch(NAME, said["name"]):
        odd = WORDINGS["context_name"]
        return _RowFault("shape", odd.message.format(value=shown(said["name"])), odd.repair({}))
    return SubjectContext(**said)


def _lacking(ours: Part, message: str, theirs: str, row: Mapping[str, object]) -> _RowFault:
    return _RowFault(f"no {ours}", message, f"{near_hint(theirs, row)}\nwrite: fields: {{{ours}: NAME}}")


def _unit(row: TableRow) -> str:
    return "line" if row.text else "row"


def _told(file: str, rows: Sequence[tuple[TableRow, _RowFault]]) -> Diagnostic:
    """The fault of the first row that has one cause, with how many rows have it and where."""
    row, about = rows[0]
    numbers = [f"{each.number:,}" for each, _ in rows[:SHOWN_ROWS]] + ["..."] * (len(rows) > SHOWN_ROWS)
    more = f", in {len(rows):,} rows ({_unit(row)}s {', '.join(numbers)})" if len(rows) > 1 else ""
    span = Span(file, row.number, 1, max(1, len(row.text)), row.text) if row.text else None
    at = "" if span else f"{file}: " + (f"row {row.number}: " if row.number else "")
    return error("TG212", f"{at}{about.message}{more}", span, "contexts.path", about.hint)
