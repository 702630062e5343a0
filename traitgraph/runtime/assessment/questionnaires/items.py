"""Questionnaires: items on a scale of answers, each with its domain and the direction it is keyed in.

The models are the format of the files; `file.py` reads them.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, field_validator, model_validator

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.study.traits import TRAIT_OF_LETTER, Trait


class _Open(Spec, extra="ignore"):
    """A part of a file that may hold further fields: source, licence, facets."""


class Item(_Open):
    """One statement about oneself."""

    id: int = Field(description="Number, unique in the questionnaire.")
    text: str = Field(description="The statement as published, without its stem.")
    second_person: str | None = Field(None, description="The statement said to the respondent: 'You ...'.")
    question: str | None = Field(None, min_length=1, description="What an interview asks; absent: about the statement.")
    domain: Literal["O", "C", "E", "A", "N"] = Field(description="First letter of the trait it measures.")
    keyed: Literal[1, -1] = Field(description="1, or -1 when agreement means less of the trait.")

    @property
    def trait(self) -> Trait:
        """The trait it measures."""
        return TRAIT_OF_LETTER[self.domain]


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
