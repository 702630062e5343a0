"""Questionnaires as files: JSON of ours, or the file of TRAIT (Lee et al. 2024, arXiv:2406.14703) as it is.

What is wrong with a file is told in the words of its format: which item, which field. A row of TRAIT is a situation
with a question and four answers, of which two stand for a high level of its trait and two for a low one. TRAIT lists
them by turns, and a second time with each pair the other way round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)
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
from traitgraph.specs.study.benchmarks import MODES
from traitgraph.specs.study.forms import Forms, Shuffled

from .items import Questionnaire, Words


class QuestionnaireError(DataError):
    """A questionnaire file whose items cannot be asked."""


def read_questionnaire(path: Path, words: Words | None = None) -> Questionnaire:
    """The questionnaire of a JSON file, ours or TRAIT's. Raises QuestionnaireError with every fault of it, OSError."""
    text = text_of(path)
    value = json_value(text)
    if isinstance(value, NotJson):
        raise QuestionnaireError([not_json(text, shown(path), value)])
    if is_trait_file(value):
        rows = value if isinstance(value, list) else value["items"]  # type: ignore[index]  # as is_trait_file saw
        if lacking := _lacking(rows, path, text, () if rows is value else ("items",)):
            raise QuestionnaireError(first_faults(lacking, shown(path)))
        value = as_questionnaire(rows, path.stem)
    if not isinstance(value, dict):
        raise QuestionnaireError([fault_at(path, None, 'a questionnaire is a mapping: {"name": ..., "items": [...]}')])
    faults, read, words = _misspelt(path, text, value), None, words or Words()
    own = value.get("domains")
    if isinstance(own, dict):
        words = words._replace(letters={**words.letters, **own})
    try:
        read = validated(Questionnaire, {key: to_plain(item) for key, item in value.items()}, words)
    except ValidationError as problems:
        faults += _told(problems, path, text, value)
    if read is None or faults:
        raise QuestionnaireError(first_faults(faults, shown(path)))
    return read


def questionnaire_for(path: Path, mode: str, words: Words, forms: Forms | None = None) -> Questionnaire:
    """The questionnaire of a file that is asked in a mode, in some forms. Raises QuestionnaireError, OSError."""
    questionnaire = read_questionnaire(path, words)
    orders = (order for order in (forms and forms.option_order) or () if isinstance(order, Shuffled))
    most = max((order.shuffled for order in orders), default=0)
    for item in questionnaire.items:
        count = len(questionnaire.answers(item))
        if most > (others := max(0, math.factorial(count) - len(("forward", "backward")))):
            what = f"item {item.id} has {count} answers, and these {others} orders beside forward and backward"
            hint = f"`shuffled: {most}` would ask some of them twice"
            raise QuestionnaireError([fault_at(path, None, what, hint)])
    if MODES.get(mode).judged:
        for item in questionnaire.items:
            if item.options:
                what = f"item {item.id} has options, and `mode: {mode}` rates agreement with a statement"
                raise QuestionnaireError([fault_at(path, None, what, "ask it with `mode: choice`, or `generate`")])
    return questionnaire


def translation_of(questionnaire: Questionnaire, path: Path, words: Words) -> Questionnaire:
    """The same items in other words. Raises QuestionnaireError for other items or other numbers of answers, OSError."""
    other = read_questionnaire(path, words)
    theirs = {item.id: item for item in other.items}
    for item in questionnaire.items:
        lacks = "has no" if item.id not in theirs else "has another number of answers to"
        if item.id in theirs and len(other.answers(theirs[item.id])) == len(questionnaire.answers(item)):
            continue
        what = f"a language of {questionnaire.name}, and {lacks} item {item.id}"
        raise QuestionnaireError([fault_at(path, None, what, "every language holds all items, by the same `id`")])
    return other.model_copy(update={"items": tuple(theirs[item.id] for item in questionnaire.items)})


def _lacking(rows: list[Any], path: Path, text: str, place: tuple[str, ...]) -> list[Diagnostic]:
    """The fields that rows of TRAIT do not have, or not as text."""
    document, faults = placed(path, text), []
    for at, row in enumerate(rows):
        found = row if isinstance(row, dict) else {}
        for name in TRAIT_FIELDS:
            if not isinstance(found.get(name), str):
                span = document.value_span((*place, at)) if document else None
                what = "is not text" if name in found else "is missing"
                faults.append(fault_at(path, span, f"row no. {at + 1} of TRAIT: `{name}` {what}"))
    return faults


def _told(problems: ValidationError, path: Path, text: str, value: dict[str, Any]) -> list[Diagnostic]:
    """Every fault in the words of the format: which item, which field; what many items have is told once."""
    faults = to_be_told(problems.errors(include_url=False))
    without = [each for each in faults if each["type"] == "missing_key" and each["loc"][::2] == ("items", "text")]
    if value.get("wording") == "left to the user" and len(without) == len(faults) == len(value["items"]):
        what = f"{shown(path)}: a key without its wording, which belongs to others"
        hint = f"if you may use it, give each of its {len(faults)} items its statement, `text`; "
        return [warning(CODE, what, hint=hint + "`run` needs them, `plan` does not")]
    alike: dict[tuple[object, str], list[Diagnostic]] = {}
    for fault, said in zip(faults, diagnose(problems, value, placed(path, text)), strict=True):
        steps = tuple(step for step in fault["loc"] if isinstance(step, str))
        found = fault_at(path, said.span, _where(fault, value) + said.message, _hint(fault, said, value))
        alike.setdefault((steps, said.message), []).append(found)
    return [
        replace(first, message=f"{first.message} (and so in {len(others)} more)") if others else first
        for first, *others in alike.values()
    ]


def _where(fault: ErrorDetails, value: dict[str, Any]) -> str:
    """The item and the field that a fault lies in, to stand in front of its message."""
    parts, steps = [], list(fault["loc"][:-1] if fault["type"] == "missing_key" else fault["loc"])
    if len(steps) > 1 and steps[0] == "items":
        index = int(steps[1])
        item = value["items"][index]
        name = item.get("id") if isinstance(item, dict) else None
        parts.append(f"item {name}" if isinstance(name, int) and abs(name) < 10**9 else f"item no. {index + 1}")
        del steps[:2]
    if steps:
        parts.append(f"`{'.'.join(map(str, steps))}`")
    return ", ".join(parts) + ": " if parts else ""


def _hint(fault: ErrorDetails, said: Diagnostic, value: dict[str, Any]) -> str | None:
    """The repair; for a missing field also the field that may be meant for it."""
    if fault["type"] != "missing_key":
        return said.hint
    *place, missing = fault["loc"]
    around: Any = value
    for step in place:
        around = around[step]
    fields = keys_of(model_at(Questionnaire, tuple(place)))
    near = near_names(str(missing), [key for key in around if key not in fields])
    return "\n".join(filter(None, (f"near: {', '.join(near)}" if near else "", said.hint)))


def _misspelt(path: Path, text: str, value: dict[str, Any]) -> list[Diagnostic]:
    """Fields that are almost those that may be left out: such a slip would else be silence."""
    document, faults = None, []
    mappings: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    if isinstance(items := value.get("items"), list):
        mappings += [(("items", index), item) for index, item in enumerate(items)]
    for place, mapping in mappings:
        if not isinstance(mapping, dict):
            continue
        fields = keys_of(model_at(Questionnaire, place))
        unknown = tuple(key for key in mapping if key not in fields)
        for name, field in fields.items():
            if not field.is_required() and name not in mapping and (key := almost(name, unknown)):
                document = document or placed(path, text)
                span = document.key_span((*place, key)) if document else None
                faults.append(fault_at(path, span, f"unknown field '{key}'", f"near: {name}"))
    return faults


# -- the file of TRAIT --

ANSWERS = ("response_high1", "response_low1", "response_high2", "response_low2")
TRAIT_FIELDS = ("personality", "situation", "query", *ANSWERS)
"""Fields that a row must have; `idx`, a number, may stand beside them."""


def is_trait_file(value: object) -> bool:
    """Whether a JSON value is a file of TRAIT: its rows, or a mapping that has them as `items`."""
    rows = value.get("items") if isinstance(value, Mapping) else value
    return isinstance(rows, list) and any(isinstance(row, dict) and not row.keys().isdisjoint(ANSWERS) for row in rows)


def as_questionnaire(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The same items in our form."""
    numbers = [row.get("idx") for row in rows]
    unique = len(set(numbers)) == len(rows) and all(type(number) is int for number in numbers)
    return {
        "name": name,
        "second_order": "swapped",
        "items": [
            _item(row, number if unique else at) for at, (row, number) in enumerate(zip(rows, numbers, strict=True))
        ],
    }


def _item(row: Mapping[str, Any], number: object) -> dict[str, Any]:
    trait = re.sub(r"[\W_]+", "-", str(row["personality"]).strip().lower())
    options = [{"text": row[name], "trait": trait, "level": name.removeprefix("response_")[:-1]} for name in ANSWERS]
    return {"id": number, "text": f"{row['situation']} {row['query']}", "options": options}
