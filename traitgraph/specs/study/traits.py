"""Axes of traits, levels and other words, and numbers for each trait.

An axis of words is one word, a list of words, or `all`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from itertools import islice, product
from typing import Annotated, Any, Literal

from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from traitgraph.specs.fields.axes import RANGE_KEYS, NumberAxis, values_of
from traitgraph.specs.fields.base import FieldForm
from traitgraph.specs.fields.context import context_of
from traitgraph.specs.fields.pydantic_errors import again, each_read, fault, located
from traitgraph.specs.fields.wording import shown

from .vocabulary import BIG_FIVE, Level, Trait, Vocabulary

Combination = tuple[tuple[Trait, Level], ...]
"""One level for each of several traits, in the order of the vocabulary."""


class WordAxis(FieldForm):
    """Annotation of an axis of known words; the study holds them as a tuple in the order they are written."""

    def __init__(self, noun: str, words: tuple[str, ...]) -> None:
        self.noun, self.words = noun, words

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: object) -> dict[str, Any]:
        """`all`, a word, or a list of different words."""
        word = {"enum": list(self.words)}
        many = {"type": "array", "items": word, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [{"const": "all"}, word, many]}

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[str, ...]:
        """The words of an axis. Raises pydantic's errors, those of all words together."""
        return self.among(value, self.words, self.words)

    def among(self, value: object, known: tuple[str, ...], every: tuple[str, ...]) -> tuple[str, ...]:
        """The words of an axis, each one that is known; `every` is what `all` stands for."""
        if value == "all":
            return every
        items = value if isinstance(value, list | tuple) else (value,)
        if not items:
            raise fault("axis_empty")
        words = each_read(items, lambda item: known_word(self.noun, item, known))
        for place, word in enumerate(words):
            if word in words[:place]:
                raise located(place, word, "axis_twice", value=word)
        return tuple(words)


def known_word(noun: str, value: object, known: Collection[str]) -> str:
    """The word itself. Raises pydantic's error for one that is not known."""
    if isinstance(value, str) and value in known:
        return value
    raise fault("name_unknown", noun=noun, value=shown(value), names=tuple(known))


def vocabulary_of(info: core_schema.ValidationInfo) -> Vocabulary:
    """The vocabulary of the arm that is being read."""
    vocabulary = context_of(info).vocabulary
    return vocabulary if isinstance(vocabulary, Vocabulary) else BIG_FIVE


class VocabularyAxis(WordAxis):
    """Annotation of an axis of traits or levels: those of the arm's vocabulary."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: object) -> dict[str, Any]:
        """Any words: a schema does not know the vocabulary of a study."""
        word = _any_of(self.words)
        many = {"type": "array", "items": word, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [word, many]}

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[str, ...]:
        """The traits or levels of an axis. Raises pydantic's errors, those of all words together."""
        vocabulary = vocabulary_of(info)
        if self.noun == "level":
            return self.among(value, tuple(vocabulary.levels), tuple(vocabulary.levels))
        return self.among(value, tuple(vocabulary.traits), vocabulary.whole_traits)


def _any_of(words: Collection[str]) -> dict[str, Any]:
    """A word; editors offer the default's."""
    return {"type": "string", "examples": list(words)}


class VocabularyWord(FieldForm):
    """Annotation of a trait or a level of the arm's vocabulary."""

    def __init__(self, noun: Literal["trait", "level"]) -> None:
        self.noun = noun

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: object) -> dict[str, Any]:
        """Any word."""
        return _any_of(BIG_FIVE.traits if self.noun == "trait" else BIG_FIVE.levels)

    def read(self, value: object, info: core_schema.ValidationInfo) -> str:
        """The word. Raises pydantic's error for one that the vocabulary has not."""
        vocabulary = vocabulary_of(info)
        return known_word(self.noun, value, vocabulary.traits if self.noun == "trait" else vocabulary.levels)


TraitWord = Annotated[Trait, VocabularyWord("trait")]
LevelWord = Annotated[Level, VocabularyWord("level")]

Traits = Annotated[tuple[Trait, ...], VocabularyAxis("trait", ("all", *BIG_FIVE.traits))]
"""An axis of traits."""

Levels = Annotated[tuple[Level, ...], VocabularyAxis("level", ("all", *BIG_FIVE.levels))]
"""An axis of levels."""


class _CombinationList(FieldForm):
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: object) -> dict[str, Any]:
        one = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"anyOf": [{"const": "all"}, {"type": "array", "items": one, "minItems": 1}]}

    def read(self, value: object, info: core_schema.ValidationInfo) -> object:
        """`all`, or mappings from traits to levels. Raises pydantic's errors, those of all mappings together."""
        if value == "all":
            return value
        if not isinstance(value, list | tuple):
            raise fault("name_unknown", noun="choice of combinations", value=shown(value), names=("all",))
        if not value:
            raise fault("axis_empty")
        vocabulary = vocabulary_of(info)

        def one(written: object) -> dict[Trait, Level]:
            if not isinstance(written, Mapping):
                raise fault("dict_type")
            for trait in written:
                if trait not in vocabulary.traits:
                    raise located(trait, trait, "unknown_key", key=trait, names=tuple(vocabulary.traits))
            levels = each_read(written, lambda level: known_word("level", level, vocabulary.levels))
            return dict(zip(written, levels, strict=True))

        return tuple(each_read(value, one))


Combinations = Annotated[Literal["all"] | tuple[dict[Trait, Level], ...], _CombinationList()]
"""Every combination of levels over the traits, or a list of them."""

MOST_COMBINATIONS = 10_000
"""More of them are a mistake (two levels of sixteen traits), not a study."""


def chosen(combinations: Combinations, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> tuple[Combination, ...]:
    """The combinations that are meant, `traits` in their order; of too many only one more than there may be."""
    if combinations == "all":
        every = product(levels, repeat=len(traits))
        return tuple(tuple(zip(traits, each, strict=True)) for each in islice(every, MOST_COMBINATIONS + 1))
    return tuple(tuple((trait, each[trait]) for trait in traits if trait in each) for each in combinations)


class PerTrait(tuple[Decimal, ...]):
    """No shared coefficient, but one axis for each trait."""

    axes: dict[Trait, tuple[Decimal, ...]]

    @classmethod
    def of(cls, axes: dict[Trait, tuple[Decimal, ...]]) -> PerTrait:
        """An empty shared axis that carries an axis for each trait."""
        alpha = cls()
        alpha.axes = axes
        return alpha


class TraitAxis(NumberAxis):
    """Annotation: an axis of numbers for all vectors, or, where several traits are composed, one for each trait."""

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[Any, ...]:
        """The values of the axis. Raises pydantic's errors."""
        return alphas(value, vocabulary_of(info))


def alphas(value: object, vocabulary: Vocabulary = BIG_FIVE) -> tuple[Decimal, ...]:
    """The values of a shared axis, or `PerTrait` when a mapping names traits. Raises pydantic's errors."""
    if not isinstance(value, Mapping) or not value or set(value) & set(RANGE_KEYS) - set(vocabulary.traits):
        return values_of(value)
    faults: list[InitErrorDetails] = []
    axes: dict[Trait, tuple[Decimal, ...]] = {}
    for key, axis in value.items():
        if key not in vocabulary.traits:
            unknown = fault("unknown_key", key=str(key), names=(*vocabulary.traits, *RANGE_KEYS))
            faults.append(InitErrorDetails(type=unknown, loc=(str(key),), input=key))
            continue
        try:
            axes[key] = values_of(axis)
        except PydanticCustomError as problem:
            faults.append(InitErrorDetails(type=problem, loc=(key,), input=axis))
        except ValidationError as problems:
            faults += [again(each, (key,)) for each in problems.errors(include_url=False)]
    if faults:
        raise ValidationError.from_exception_data("alpha", faults)
    return PerTrait.of(axes)


AlphaAxis = Annotated[tuple[Decimal, ...], TraitAxis(values_of, "number")]
"""An axis of numbers, or a mapping from traits to such axes (method `compose`)."""
