"""The Big Five and their two levels, and axes of words: one word, a list of words, or `all`.

Levels are words everywhere. Some published code writes 0 for high and 1 for low; no such digit enters this program.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from traitgraph.specs.fields.pydantic_errors import each_read, fault, located
from traitgraph.specs.fields.wording import shown

Trait = Literal["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"]
Level = Literal["high", "low"]

TRAITS: tuple[Trait, ...] = get_args(Trait)
LEVELS: tuple[Level, ...] = get_args(Level)

Combination = tuple[tuple[Trait, Level], ...]
"""One level for each of several traits, in the order of `TRAITS`."""

TRAIT_OF_LETTER: dict[str, Trait] = {trait[0].upper(): trait for trait in TRAITS}
"""Questionnaire keys name a domain by its first letter: O, C, E, A, N."""


class WordAxis:
    """Annotation of an axis of known words; the study holds them as a tuple in the order they are written."""

    def __init__(self, noun: str, words: tuple[str, ...]) -> None:
        self.noun, self.words = noun, words

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read words; the annotated tuple is for readers and mypy."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """`all`, a word, or a list of different words."""
        word = {"enum": list(self.words)}
        many = {"type": "array", "items": word, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [{"const": "all"}, word, many]}

    def read(self, value: object) -> tuple[str, ...]:
        """The words of an axis. Raises pydantic's errors, those of all words together."""
        if value == "all":
            return self.words
        if not isinstance(value, list | tuple):
            return (self._word(value),)
        if not value:
            raise fault("axis_empty")
        words = each_read(value, self._word)
        for place, word in enumerate(words):
            if word in words[:place]:
                raise located(place, word, "axis_twice", value=word)
        return tuple(words)

    def _word(self, value: object) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        raise fault("name_unknown", noun=self.noun, value=shown(value), names=self.words)


Traits = Annotated[tuple[Trait, ...], WordAxis("trait", TRAITS)]
"""An axis of Big Five traits."""

Levels = Annotated[tuple[Level, ...], WordAxis("level", LEVELS)]
"""An axis of levels."""
