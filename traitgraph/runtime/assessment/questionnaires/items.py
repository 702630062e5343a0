"""Questionnaires: items with their answers, each with what it measures and the direction it is keyed in.

An item is a statement on a scale of agreement, or a question with options of its own, each of which has a value or
stands for a level of a trait. Whatever it is, `points` says what each answer counts, on the one scale of the file.
The models are the format of the files, which `item_file.py` reads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import fault as a_fault
from traitgraph.specs.fields.pydantic_errors import located
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.forms import QuestionText
from traitgraph.specs.study.vocabulary import BIG_FIVE


class Words(NamedTuple):
    """What the words of a file mean: letters of traits, names of traits, and levels with their positions."""

    letters: Mapping[str, str] = BIG_FIVE.trait_of_letter
    traits: Collection[str] = tuple(BIG_FIVE.traits)
    levels: Mapping[str, float] = BIG_FIVE.levels

    @classmethod
    def of(cls, benchmark: ResolvedBenchmark, traits: Collection[str]) -> Words:
        """Of a study with these traits, beside which questionnaires of the Big Five may be asked.

        Letters and levels that are not the Big Five's stand in its jobs.
        """
        letters = {**BIG_FIVE.trait_of_letter, **(benchmark.letters or {})}
        levels = BIG_FIVE.levels if benchmark.levels is None else benchmark.levels
        return cls(letters, (*traits, *BIG_FIVE.traits), levels)


def _words(info: ValidationInfo) -> Words:
    return info.context if isinstance(info.context, Words) else Words()


def _trait(value: str, info: ValidationInfo) -> str:
    """The trait that a letter or a word stands for."""
    words = _words(info)
    if (trait := words.letters.get(value, value)) not in words.traits:
        raise a_fault("name_unknown", noun="trait", value=trait, names=(*words.letters, *words.traits))
    return trait


TraitWord = Annotated[str, AfterValidator(_trait)]
"""A trait by its letter or its word; read as the word."""


class _Open(Spec, extra="ignore"):
    """A part of a file that may hold further fields: source, licence."""


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


class Option(_Open):
    """One answer to an item that has its own."""

    text: str = Field(min_length=1, description="The answer as it is listed.")
    value: float | None = Field(None, allow_inf_nan=False, description="What it counts for the item's trait.")
    trait: TraitWord | None = Field(None, description="The trait that it stands for, by letter or word.")
    level: str | None = Field(None, description="The level of that trait.")
    _position: float = PrivateAttr(0.0)

    @model_validator(mode="after")
    def _one_meaning(self, info: ValidationInfo) -> Option:
        both = (self.trait is None) + (self.level is None)
        if both == 1 or (self.value is None) == (both == 2):
            raise ValueError("an option has either a `value`, or a `trait` and a `level` that it stands for")
        if self.level is not None:
            levels = _words(info).levels
            if self.level not in levels:
                raise located("level", self.level, "name_unknown", noun="level", value=self.level, names=tuple(levels))
            self._position = levels[self.level]
        return self

    @property
    def position(self) -> float:
        """Where the level that it stands for stands, from -1 to 1."""
        return self._position


class Item(_Open):
    """One statement about oneself, or one question with options."""

    id: int = Field(description="Number, unique in the questionnaire.")
    text: str = Field(description="The statement as published, without its stem.")
    second_person: str | None = Field(None, description="The statement said to the respondent: 'You ...'.")
    question: str | None = Field(None, min_length=1, description="What an interview asks; absent: about the statement.")
    domain: TraitWord | None = Field(None, description="Letter or word of the trait it measures.")
    keyed: Literal[1, -1] | None = Field(None, description="1, or -1 when agreement means less of the trait.")
    facet: str | None = Field(None, min_length=1, description="The facet of the trait that it measures.")
    facet_name: str | None = Field(None, min_length=1, description="The facet's name where `facet` is a number.")
    weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Weight in means; 0: asked, and not scored.")
    response_scale: Scale | str | None = Field(None, description="Its own scale, or the name of one of `scales`.")
    options: tuple[Option, ...] | None = Field(None, min_length=2, max_length=26, description="Its own answers.")

    @model_validator(mode="after")
    def _what_its_answers_count(self) -> Item:
        stand = [option.value is None for option in self.options or ()]
        if any(stand) and not all(stand):
            raise ValueError("its options have values, or stand for levels: not both")
        if self.options and self.response_scale is not None:
            raise ValueError("an item has `options` or a `response_scale`, not both")
        if any(stand) and (self.domain or self.keyed):
            raise ValueError("what its options stand for says what it measures: without `domain` and `keyed`")
        needed = ("domain", "keyed") if self.options is None else () if any(stand) else ("domain",)
        for name in needed:
            if getattr(self, name) is None:
                raise located(name, None, "missing_key", key=name, what=Item.model_fields[name].description or "")
        if self.options and not any(stand) and len({option.value for option in self.options}) < 2:
            raise ValueError("all its options have the same value: no answer would say anything")
        return self

    @property
    def traits(self) -> tuple[str, ...]:
        """The traits it measures: one, or those that its options stand for."""
        named = (option.trait for option in self.options or ())
        return tuple(dict.fromkeys(filter(None, (self.domain, *named))))

    @property
    def trait(self) -> str:
        """The trait it measures, or the first of them."""
        return self.traits[0]

    @property
    def facet_metric(self) -> str | None:
        """The name of its facet's score, which no trait can have."""
        name = self.facet_name or self.facet
        return FACET + re.sub(r"[\W_]+", "-", name.strip().lower()) if name else None


FACET = "facet:"
"""Start of the names of metrics that are scores of facets."""


class Questionnaire(_Open):
    """Items whose answers count on one scale."""

    name: str = Field(description="Short name.")
    stem: str = Field(
        "I ...", description="What an item's text completes; the dots stand for the text. Empty: texts are sentences."
    )
    domains: dict[str, str] = Field({}, description="Letter that items use for a trait -> the trait's word.")
    scales: dict[str, Scale] = Field({}, description="Name -> a scale that items may name as `response_scale`.")
    response_scale: Scale | None = Field(
        None, description="The steps of an answer: `min`, `max` and `anchors`; of items that have none of their own."
    )
    items: tuple[Item, ...] = Field(min_length=1, description="The statements.")
    wording: Literal["given", "left to the user"] = Field(
        "given", description="left to the user: a key whose items may lack their text until whoever may use it adds it."
    )
    instructions: dict[str, QuestionText] = Field(
        {},
        description="Name of a wording -> its text in the file's language, with {statement}, {options} and {answer}.",
    )
    second_order: Literal["backward", "swapped"] = Field(
        "backward", description="How options are listed the second time: from the last, or with neighbours swapped."
    )

    @field_validator("stem")
    @classmethod
    def _place_for_the_text(cls, stem: str) -> str:
        if stem and "..." not in stem:
            raise ValueError('three dots must stand where the text of an item goes, as in "I ..."')
        return stem

    @model_validator(mode="after")
    def _items_that_can_be_asked(self) -> Questionnaire:
        twice = [name for name, number in Counter(item.id for item in self.items).items() if number > 1]
        if twice:
            raise ValueError(f"several items have the same id: {', '.join(map(str, twice))}")
        faults = []
        for at, item in enumerate(self.items):
            scale = item.response_scale
            if isinstance(scale, str) and scale not in self.scales:
                unknown = a_fault("name_unknown", noun="scale", value=scale, names=tuple(self.scales))
                faults.append(InitErrorDetails(type=unknown, loc=("items", at, "response_scale"), input=scale))
            elif not (scale or item.options or self.response_scale):
                what = f"item {item.id} has no options, and no scale of its own"
                lacking = a_fault("missing_key", key="response_scale", what=what)
                faults.append(InitErrorDetails(type=lacking, loc=("response_scale",), input=None))
                break
        if faults:
            raise ValidationError.from_exception_data("questionnaire", faults)
        if not any(item.weight for item in self.items):
            raise ValueError("every item has the weight 0: nothing would be scored")
        return self

    def statement(self, item: Item) -> str:
        """The whole sentence of an item in the first person; of one with options its text.

        >>> scale = Scale(min=1, max=2, anchors=("no", "yes"))
        >>> item = Item(id=1, text="Don't talk a lot", domain="E", keyed=-1)
        >>> Questionnaire(name="q", response_scale=scale, items=(item,)).statement(item)
        "I don't talk a lot."
        """
        if not self.stem or item.options:
            return item.text
        return self.stem.replace("...", item.text[:1].lower() + item.text[1:].rstrip(".")) + "."

    def traits(self) -> list[str]:
        """Traits with at least one item, in order of first appearance."""
        return list(dict.fromkeys(trait for item in self.items for trait in item.traits))

    def scale_of(self, item: Item) -> Scale:
        """The scale that an item without options is answered on."""
        own = item.response_scale
        scale = self.scales[own] if isinstance(own, str) else own or self.response_scale
        assert scale is not None, "an item has options or a scale"
        return scale

    def is_plain(self, item: Item) -> bool:
        """Whether it is answered on the very scale that scores are on."""
        return item.options is None and self._own_ends(item) == self.ends

    def answers(self, item: Item) -> tuple[str, ...]:
        """The wording of every answer to an item, in the order of the file."""
        return tuple(option.text for option in item.options) if item.options else self.scale_of(item).anchors

    @property
    def ends(self) -> tuple[float, float]:
        """The scale that scores are on: that of the file, or else of its first item."""
        return self.response_scale.ends if self.response_scale else self._own_ends(self.items[0])

    def _own_ends(self, item: Item) -> tuple[float, float]:
        if not item.options:
            return self.scale_of(item).ends
        values = [option.value for option in item.options if option.value is not None]
        return (min(values), max(values)) if values else (0, 1)

    def points(self, item: Item) -> dict[str, list[float]]:
        """What each answer counts for each trait of an item, on the scale of the file.

        Options that stand for levels count by the level's place between the ends; one that stands for another trait
        counts against those that stand for this one, as the mirror of their mean.
        """
        if item.options and item.options[0].value is None:
            found = {}
            for trait in item.traits:
                own = [option.position for option in item.options if option.trait == trait]
                other = -sum(own) / len(own)
                places = [option.position if option.trait == trait else other for option in item.options]
                found[trait] = [self.counted(item, (place + 1) / 2) for place in places]
            return found
        values = [option.value or 0.0 for option in item.options or ()] or range(
            self.scale_of(item).min, self.scale_of(item).max + 1
        )
        return {item.trait: [self.counted(item, value) for value in values]}

    def counts(self, item: Item, answer: float) -> dict[str, float]:
        """What a number counts for each trait: a step of the item's scale, or the place of an option, from 1."""
        if item.options:
            return {trait: points[round(answer) - 1] for trait, points in self.points(item).items()}
        return {item.trait: self.counted(item, answer)}

    def counted(self, item: Item, answer: float) -> float:
        """An answer on the item's own scale as it counts on that of the file: turned round, and stretched to it."""
        (low, high), own = self.ends, self._own_ends(item)
        turned = keyed_value(answer, item.keyed or 1, *own)
        return turned if own == (low, high) else low + (turned - own[0]) * (high - low) / (own[1] - own[0])


def keyed_value(value: float, keyed: int, low: float, high: float) -> float:
    """An answer as it counts for the trait: low + high - value for a reversed item, on a scale from low to high."""
    return low + high - value if keyed < 0 else value
