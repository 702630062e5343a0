"""What traits there are, and at which levels a subject may have them: what a study's `vocabulary` declares.

Everything else goes by the position of a level: which level is the opposite one, in which direction it pushes, where it
stands in a table, which two are compared. Must not know a method, a benchmark or a page.

Levels are words everywhere. Some published code writes 0 for high and 1 for low; no such digit enters this program.
"""

import re
from collections.abc import Container, Iterable
from functools import cache, cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import InitErrorDetails, ValidationError

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import fault
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.source.library import LIBRARY
from traitgraph.specs.source.yaml import read_document, to_plain

Trait = str
Level = str
Domain = Literal["O", "C", "E", "A", "N"]
"""What questionnaire keys call a trait."""

NAME = re.compile(r"\w[\w .-]{0,63}")
"""A trait or a level: it stands in rows, labels and selections (`trait=openness,level=high`)."""
TAKEN = ("all", "direction")
"""Names that mean something else: every word of an axis, and the tensor beside those of the levels."""


class Pole(Spec):
    """What is said of people on one side of the middle."""

    name: str = Field("", description="What somebody there is called, an adjective: candid.")
    description: str = Field("", description="A paragraph that tells a model to be so: 'You are ...'.")
    adjectives: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), description="Adjectives of people there.")


class TraitWords(Spec):
    """One trait. A prompt, a judge or a generator that needs what is left out says so."""

    description: str = Field("", description="What the trait is, in one sentence.")
    high: Pole = Field(Pole(), description="People above the middle.")
    low: Pole = Field(Pole(), description="People below the middle.")
    letter: str | None = Field(None, pattern=r"^[^\s,]+$", description="What the keys of questionnaires call it.")
    facet_of: str | None = Field(None, description="The trait that it is a part of; `traits: all` leaves it out.")

    @property
    def meaning(self) -> str:
        """What a judge is told that it is, with the names of its poles; empty without a description."""
        poles = (("high", self.high.name), ("low", self.low.name))
        named = ", ".join(f"{side}: {name}" for side, name in poles if name)
        return self.description and "; ".join(filter(None, (self.description.rstrip("."), named)))


class Vocabulary(Spec):
    """The traits of a study in the order in which they are shown, and its levels, from the highest to the lowest."""

    traits: dict[Trait, TraitWords] = Field(min_length=1, description="Name of each trait -> what is said of it.")
    levels: dict[Level, Annotated[float, Field(ge=-1, le=1)]] = Field(
        {"high": 1.0, "low": -1.0},
        min_length=2,
        description="Name of each level -> its position from -1 to 1; opposite levels stand at mirrored positions.",
    )
    _preset: str = PrivateAttr("")
    """The shipped file that has its words, when they are read only where they are needed."""

    @model_validator(mode="after")
    def _tells_apart(self) -> Self:
        """Names that rows can hold; positions and letters that tell apart; facets of a trait that is there."""
        found: list[InitErrorDetails] = []

        def tell(place: tuple[str, ...], written: object, kind: str, **facts: object) -> None:
            found.append(InitErrorDetails(type=fault(kind, **facts), loc=place, input=written))

        for key, names in (("traits", self.traits), ("levels", self.levels)):
            for name in names:
                if not NAME.fullmatch(name) or name != name.lower() or name in TAKEN:
                    tell((key, name), name, "vocabulary_name", value=name)
        by_position: dict[float, str] = {}
        for name, position in self.levels.items():
            if (other := by_position.setdefault(position, name)) != name:
                tell(("levels", name), position, "position_twice", name=name, other=other)
        by_letter: dict[str, str] = {}
        for name, words in self.traits.items():
            if words.letter and (other := by_letter.setdefault(words.letter, name)) != name:
                tell(("traits", name, "letter"), words.letter, "letter_twice", name=name, other=other)
            if words.facet_of and words.facet_of not in (whole := self.whole_traits):
                at = ("traits", name, "facet_of")
                tell(at, words.facet_of, "name_unknown", noun="trait", value=words.facet_of, names=whole, facet_of=name)
        if found:
            raise ValidationError.from_exception_data("vocabulary", found)
        self.__dict__["levels"] = dict(sorted(self.levels.items(), key=lambda level: -level[1]))
        return self

    @classmethod
    def joined(cls, several: Iterable["Vocabulary"]) -> "Vocabulary":
        """The words of several, to look words up in: of opposites, with which positions may tie, it knows nothing."""
        levels, traits = dict[Level, float](), dict[Trait, TraitWords]()
        for each in several:
            levels, traits = {**levels, **each.levels}, {**traits, **each.traits}
        return cls.model_construct(traits=traits, levels=dict(sorted(levels.items(), key=lambda level: -level[1])))

    @classmethod
    def of_levels(cls, levels: dict[Level, float] | None) -> "Vocabulary":
        """Levels alone, as jobs carry them; None: those of the Big Five."""
        return BIG_FIVE if levels is None else cls.model_construct(traits={}, levels=levels)

    @property
    def own_levels(self) -> dict[Level, float] | None:
        """The levels where they are not those of the Big Five: what `of_levels` takes."""
        return None if self.levels == BIG_FIVE.levels else self.levels

    @property
    def meanings(self) -> dict[Trait, str] | None:
        """The meaning of each trait, less the five that a judge knows by their names; None where there is no other."""
        if self._preset:
            return None
        usual, five = BIG_FIVE.complete.traits, BIG_FIVE.traits
        own = ((name, words) for name, words in self.traits.items() if name not in five or words != usual[name])
        return {name: words.meaning for name, words in own} or None

    @cached_property
    def whole_traits(self) -> tuple[Trait, ...]:
        """Its traits, less those that are facets of others: `traits: all`."""
        return tuple(name for name, words in self.traits.items() if not words.facet_of)

    @property
    def complete(self) -> "Vocabulary":
        """Itself with all words and facets, which the default reads only now."""
        return _shipped(self._preset) if self._preset else self

    @property
    def ends(self) -> tuple[Level, Level]:
        """The level at the highest position and that at the lowest: a contrast is the first minus the second."""
        upper, *_, lower = self.levels
        return upper, lower

    @property
    def sides(self) -> tuple[str, str]:
        """How sentences name two opposite levels: by their names, by their sides where there are several pairs."""
        sides = [[level for level in self.levels if self.sign(level) == side] for side in (1, -1)]
        return (sides[0][0], sides[1][0]) if [*map(len, sides)] == [1, 1] else ("upper", "lower")

    def position(self, level: str) -> float:
        """Where a level stands, from -1 to 1. Raises KeyError for what is no level."""
        return self.levels[level]

    def opposite(self, level: str) -> Level:
        """The level at the mirrored position; one in the middle is its own. Raises KeyError where there is none."""
        return self._by_position[-self.levels[level]]

    def opposites(self, level: str) -> tuple[Level, ...]:
        """What a level is contrasted with: the mirrored level; of one in the middle both ends. Raises KeyError."""
        return (self.opposite(level),) if self.levels[level] else self.ends

    def mirrored(self, level: str) -> bool:
        """Whether a level has an opposite, or stands in the middle. Raises KeyError for what is no level."""
        return -self.levels[level] in self._by_position

    def in_descent(self, level: str, other: str) -> tuple[Level, Level]:
        """Two levels, the upper one first. Raises KeyError for what is no level."""
        return (level, other) if self.position(level) > self.position(other) else (other, level)

    def sign(self, level: str) -> int:
        """Where a level pushes: 1 up, -1 down, 0 nowhere. Raises KeyError for what is no level."""
        at = self.position(level)
        return (at > 0) - (at < 0)

    def pole(self, trait: Trait, level: str) -> Pole:
        """What is said of people at a level; nothing of the middle. Raises KeyError for another trait or level."""
        words = self.complete.traits[trait]
        return {1: words.high, 0: Pole(), -1: words.low}[self.sign(level)]

    def in_order(self, traits: Container[object]) -> tuple[Trait, ...]:
        """Those of its traits that are among these, in its own order."""
        return tuple(trait for trait in self.traits if trait in traits)

    def place(self, trait: str, level: str) -> tuple[int, int]:
        """Where trait and level stand in tables; what the vocabulary does not know stands last."""
        trait_place, level_place = self._places
        return trait_place.get(trait, len(trait_place)), level_place.get(level, len(level_place))

    @cached_property
    def _by_position(self) -> dict[float, Level]:
        return {position: level for level, position in self.levels.items()}

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        return {trait: at for at, trait in enumerate(self.traits)}, {level: at for at, level in enumerate(self.levels)}

    @cached_property
    def trait_of_letter(self) -> dict[str, Trait]:
        """Letter in a questionnaire's key -> trait, of the traits that have one."""
        return {words.letter: trait for trait, words in self.traits.items() if words.letter}


VOCABULARIES: Registry[Vocabulary] = Registry("vocabulary", "traitgraph.vocabularies", (), base=Vocabulary)
"""Those of packages; ours are files of the library."""


def _default() -> Vocabulary:
    """The five traits and their letters; what else is said of them stands in the library, and is read when needed."""
    names = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    traits = {name: TraitWords(letter=name[0].upper()) for name in names}
    vocabulary = Vocabulary(traits=traits)
    vocabulary._preset = "big-five"
    return vocabulary


@cache
def _shipped(name: str) -> Vocabulary:
    """A vocabulary of the library."""
    document, _ = read_document(LIBRARY / "vocabulary" / f"{name}.yaml")
    assert document is not None, "a test reads every file of the library"
    return Vocabulary.model_validate(to_plain(document.data))


BIG_FIVE = _default()
"""The default: the Big Five with the adjectives of Serapio-Garcia et al. 2023 (arXiv:2307.00184), after Goldberg."""
