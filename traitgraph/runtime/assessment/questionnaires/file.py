"""Read questionnaire files; what is wrong with one is told in the words of its format: which item, which field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from traitgraph.runtime.data.data_files import (
    CODE,
    DataError,
    NotJson,
    almost,
    fault_at,
    first_faults,
    json_value,
    not_json,
    placed,
    shown,
    text_of,
)
from traitgraph.specs.fields.pydantic_errors import diagnose, keys_of, model_at, to_be_told, validated
from traitgraph.specs.source.diagnostics import Diagnostic, near_names, warning
from traitgraph.specs.source.yaml import to_plain

from .items import Questionnaire


class QuestionnaireError(DataError):
    """A questionnaire file that cannot be administered."""


def read_questionnaire(path: Path) -> Questionnaire:
    """The questionnaire of a JSON file. Raises QuestionnaireError with every fault of the file, OSError."""
    text = text_of(path)
    value = json_value(text)
    if isinstance(value, NotJson):
        raise QuestionnaireError([not_json(text, shown(path), value)])
    if not isinstance(value, dict):
        raise QuestionnaireError([fault_at(path, None, 'a questionnaire is a mapping: {"name": ..., "items": [...]}')])
    faults, read = _misspelt(path, text, value), None
    try:
        read = validated(Questionnaire, _plainly(value))
    except ValidationError as problems:
        faults += _told(problems, path, text, value)
    if read is None or faults:
        raise QuestionnaireError(first_faults(faults, shown(path)))
    return read


def _told(problems: ValidationError, path: Path, text: str, value: dict[str, Any]) -> list[Diagnostic]:
    """Every fault in the words of the format: which item, which field; what many items have is told once."""
    faults = to_be_told(problems.errors(include_url=False))
    if _only_wording_lacks(faults, value):
        return [_without_wording(path, len(faults))]
    alike: dict[tuple[object, str], list[Diagnostic]] = {}
    for fault, said in zip(faults, diagnose(problems, value, placed(path, text)), strict=True):
        steps = tuple(step for step in fault["loc"] if isinstance(step, str))
        hint = _hint(fault, said, value)
        message = f"{_where(fault, value)}{said.message}"
        alike.setdefault((steps, said.message), []).append(fault_at(path, said.span, message, hint))
    return [_with_number(each) for each in alike.values()]


def _with_number(alike: Sequence[Diagnostic]) -> Diagnostic:
    more = f" (and so in {len(alike) - 1} more)" if len(alike) > 1 else ""
    return replace(alike[0], message=alike[0].message + more)


def _only_wording_lacks(faults: Sequence[ErrorDetails], value: dict[str, Any]) -> bool:
    lacking = all(fault["type"] == "missing_key" and fault["loc"][::2] == ("items", "text") for fault in faults)
    return lacking and value.get("wording") == "left to the user" and len(faults) == len(value["items"])


def _without_wording(path: Path, items: int) -> Diagnostic:
    what = f"{shown(path)}: a key without its wording, which belongs to others"
    hint = f"if you may use it, give each of its {items} items its statement, `text`; `run` needs them, `plan` does not"
    return warning(CODE, what, hint=hint)


def _where(fault: ErrorDetails, value: dict[str, Any]) -> str:
    """The item and the field that a fault lies in, to stand in front of its message."""
    steps = list(fault["loc"][:-1] if fault["type"] == "missing_key" else fault["loc"])
    item = ""
    if len(steps) > 1 and steps[0] == "items":
        item = _item_name(value["items"], int(steps[1]))
        del steps[:2]
    field = f"`{'.'.join(map(str, steps))}`" if steps else ""
    return ", ".join(filter(None, (item, field))) + ": " if item or field else ""


def _item_name(items: Sequence[Any], index: int) -> str:
    name = items[index].get("id") if isinstance(items[index], dict) else None
    return f"item {name}" if isinstance(name, int) and abs(name) < 10**9 else f"item no. {index + 1}"


def _hint(fault: ErrorDetails, said: Diagnostic, value: dict[str, Any]) -> str | None:
    """The repair; for a missing field also the field that may be meant for it."""
    if fault["type"] != "missing_key":
        return said.hint
    fields, around = keys_of(model_at(Questionnaire, fault["loc"][:-1])), cast("Any", value)
    for step in fault["loc"][:-1]:
        around = around[step]
    near = near_names(str(fault["loc"][-1]), [key for key in around if key not in fields])
    return "\n".join(filter(None, (f"near: {', '.join(near)}" if near else "", said.hint)))


def _misspelt(path: Path, text: str, value: dict[str, Any]) -> list[Diagnostic]:
    """Fields that are almost those that may be left out: such a slip would else be silence."""
    document, faults = None, []
    for place, mapping in _mappings(value):
        fields = keys_of(model_at(Questionnaire, place))
        optional = [key for key, field in fields.items() if not field.is_required() and key not in mapping]
        unknown = tuple(key for key in mapping if key not in fields)
        for name in optional:
            if key := almost(name, unknown):
                document = document or placed(path, text)
                span = document.key_span((*place, key)) if document else None
                faults.append(fault_at(path, span, f"unknown field '{key}'", f"near: {name}"))
    return faults


def _plainly(value: dict[str, Any]) -> dict[str, object]:
    return {key: to_plain(item) for key, item in value.items()}


def _mappings(value: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    yield (), value
    items = value.get("items")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield ("items", index), item
