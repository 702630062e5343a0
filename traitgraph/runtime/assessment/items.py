"""Questionnaire files: items on a scale of answers, each with its domain and the direction it is keyed in."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from traitgraph.specs.spec import Spec
from traitgraph.specs.traits import TRAIT_OF_LETTER, Trait


class QuestionnaireError(ValueError):
    """A questionnaire file that cannot be administered; the message names the file and the field."""


class _Open(Spec, extra="ignore"):
    """A part of a file that may hold further fields: source, licence, facets."""


class Item(_Open):
    """One statement about oneself."""

    id: int = Field(description="Number, unique in the questionnaire.")
    text: str = Field(description="The statement as published, without its stem.")
    second_person: str | None = Field(None, description="The statement said to the respondent: 'You ...'.")
    question: str | None = Field(None, min_length=1, description="What an interview asks; absent: about the statement.")
    domain: str = Field(pattern="^[OCEAN]$", description="First letter of the trait it measures.")
    keyed: int = Field(description="1, or -1 when agreement means less of the trait.")

    @property
    def trait(self) -> Trait:
        """The trait it measures."""
        return TRAIT_OF_LETTER[self.domain]

    @model_validator(mode="after")
    def _keyed_one_way(self) -> Item:
        if self.keyed not in (1, -1):
            raise ValueError(f"item {self.id}: keyed must be 1 or -1, not {self.keyed}")
        return self


class Scale(_Open):
    """The steps of an answer and their wording, from least to most agreement."""

    min: int = Field(description="Number of the first step.")
    max: int = Field(description="Number of the last step.")
    anchors: tuple[str, ...] = Field(description="Wording of each step.")

    @model_validator(mode="after")
    def _wording_of_each_step(self) -> Scale:
        if len(self.anchors) != self.max - self.min + 1 or len(self.anchors) < 2:
            raise ValueError(f"a scale from {self.min} to {self.max} needs one anchor a step, not {len(self.anchors)}")
        return self


class Questionnaire(_Open):
    """Items that share a scale."""

    name: str = Field(description="Short name.")
    stem: str = Field("I ...", description="What an item's text completes; the dots stand for the text.")
    response_scale: Scale
    items: tuple[Item, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_items(self) -> Questionnaire:
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("two items have the same id")
        return self

    def statement(self, item: Item) -> str:
        """The whole sentence of an item in the first person.

        >>> scale = Scale(min=1, max=2, anchors=("no", "yes"))
        >>> item = Item(id=1, text="Don't talk a lot", domain="E", keyed=-1)
        >>> Questionnaire(name="q", response_scale=scale, items=(item,)).statement(item)
        "I don't talk a lot."
        """
        if "..." not in self.stem:
            return item.text
        return self.stem.replace("...", item.text[:1].lower() + item.text[1:].rstrip(".")) + "."

    def traits(self) -> list[Trait]:
        """Traits with at least one item, in order of first appearance."""
        return list(dict.fromkeys(item.trait for item in self.items))


def read_questionnaire(path: Path) -> Questionnaire:
    """The questionnaire of a JSON file. Raises QuestionnaireError naming what does not fit."""
    try:
        return Questionnaire.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise QuestionnaireError(f"{path}: not JSON: {error}") from error
    except ValidationError as error:
        raise QuestionnaireError(f"{path}: {'; '.join(_faults(error))}") from error


def _faults(error: ValidationError) -> list[str]:
    """Every sort of fault with its first place; what many items have is told once."""
    places: dict[tuple[object, str], list[str]] = {}
    faults = error.errors()
    for fault in faults:
        if fault["type"] == "too_short" and len(faults) > 1:
            continue  # items that do not fit are not counted by pydantic
        sort = (tuple(step for step in fault["loc"] if isinstance(step, str)), fault["msg"])
        places.setdefault(sort, []).append(".".join(map(str, fault["loc"])))
    return [
        f"{each[0]}: {said}".lstrip(": ") + (f" (and so in {len(each) - 1} more)" if len(each) > 1 else "")
        for (_, said), each in places.items()
    ]
