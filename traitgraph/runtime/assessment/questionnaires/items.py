"""Questionnaires: items on a scale of answers, each with its domain and the direction it is keyed in.

The models are the format of the files. What is wrong with a file is told in the words of it: which item, which field.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
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
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import diagnose, keys_of, model_at, to_be_told, validated
from traitgraph.specs.source.diagnostics import Diagnostic, near_names, warning
from traitgraph.specs.source.yaml import to_plain
from traitgraph.specs.study.vocabulary import BIG_FIVE, Domain, Trait


class _Open(Spec, extra="ignore"):
    """A part of a file that may hold further fields: source, licence, facets."""


class Item(_Open):
    """One statement about oneself."""

    id: int = Field(description="Number, unique in the questionnaire.")
    text: str = Field(description="The statement as published, without its stem.")
    second_person: str | None = Field(None, description="The statement said to the respondent: 'You ...'.")
    question: str | None = Field(None, min_length=1, description="What an interview asks; absent: about the statement.")
    domain: Domain = Field(description="Letter of the trait it measures.")
    keyed: Literal[1, -1] = Field(description="1, or -1 when agreement means less of the trait.")

    @property
    def trait(self) -> Trait:
        """The trait it measures."""
        return BIG_FIVE.trait_of_letter[self.domain]


class Scale(_Open):
    """The steps of an answer and their wording, from least to most agreement."""

    min: int = Field(description="Number of the first step.")
    max: int = Field(description="Number of the last step.")
    anchors: tuple[str, ...] = Field(description="Wording of each step.")

    @model_validator(mode="after")
    def _wording_of_each_step(self) -> Scale:
        if self.max <= self.min:
            raise ValueError("`max` must be above `min`: steps go from least to most agreement")
        if len(self.anchors) != self.max - self.min + 1:
            raise ValueError(f"a scale from {self.min} to {self.max} needs one anchor a step, not {len(self.anchors)}")
        return self

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last step."""
        return self.min, self.max

    def steps(self, between: str) -> str:
        """The steps with their wording: '1 = very inaccurate, 2 = ...'."""
        return between.join(f"{number} = {anchor}" for number, anchor in enumerate(self.anchors, start=self.min))


class Questionnaire(_Open):
    """Items that share a scale."""

    name: str = Field(description="Short name.")
    stem: str = Field(
        "I ...", description="What an item's text completes; the dots stand for the text. Empty: texts are sentences."
    )
    response_scale: Scale = Field(description="The steps of an answer: `min`, `max` and `anchors`.")
    items: tuple[Item, ...] = Field(min_length=1, description="The statements.")
    wording: Literal["given", "left to the user"] = Field(
        "given", description="left to the user: a key whose items may lack their text until whoever may use it adds it."
    )

    @field_validator("stem")
    @classmethod
    def _place_for_the_text(cls, stem: str) -> str:
        if stem and "..." not in stem:
            raise ValueError('three dots must stand where the text of an item goes, as in "I ..."')
        return stem

    @model_validator(mode="after")
    def _unique_items(self) -> Questionnaire:
        twice = [name for name, number in Counter(item.id for item in self.items).items() if number > 1]
        if twice:
            raise ValueError(f"several items have the same id: {', '.join(map(str, twice))}")
        return self

    def statement(self, item: Item) -> str:
        """The whole sentence of an item in the first person.

        >>> scale = Scale(min=1, max=2, anchors=("no", "yes"))
        >>> item = Item(id=1, text="Don't talk a lot", domain="E", keyed=-1)
        >>> Questionnaire(name="q", response_scale=scale, items=(item,)).statement(item)
        "I don't talk a lot."
        """
        if not self.stem:
            return item.text
        return self.stem.replace("...", item.text[:1].lower() + item.text[1:].rstrip(".")) + "."

    def traits(self) -> list[Trait]:
        """Traits with at least one item, in order of first appearance."""
        return list(dict.fromkeys(item.trait for item in self.items))


class QuestionnaireError(DataError):
    """A questionnaire file whose items cannot be asked."""


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
        read = validated(Questionnaire, {key: to_plain(item) for key, item in value.items()})
    except ValidationError as problems:
        faults += _told(problems, path, text, value)
    if read is None or faults:
        raise QuestionnaireError(first_faults(faults, shown(path)))
    return read


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
