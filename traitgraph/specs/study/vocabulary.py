"""What traits there are, and at which levels a subject may have them: the one place that knows their words.

Everything else goes by the position of a level: which level is the opposite one, in which direction it pushes, where it
stands in a table, which two are compared. Must not know a method, a benchmark or a page.

Levels are words everywhere. Some published code writes 0 for high and 1 for low; no such digit enters this program.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

Trait = Literal["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"]
Level = Literal["high", "low"]
Domain = Literal["O", "C", "E", "A", "N"]
"""What questionnaire keys call a trait."""

T = TypeVar("T", bound=str)
L = TypeVar("L", bound=str)


@dataclass(frozen=True)
class TraitWords:
    """What is said of a trait beside its name."""

    upper: tuple[str, ...] = ()
    """Adjectives of people at levels above the middle."""
    lower: tuple[str, ...] = ()
    """Adjectives of people at levels below the middle."""
    letter: str | None = None
    """What questionnaire keys may call it."""


@dataclass(frozen=True)
class Vocabulary(Generic[T, L]):
    """Traits in the order in which they are shown, and levels from the highest position to the lowest.

    Raises ValueError for two levels with one position, for a position outside [-1, 1], and for two traits with one
    letter.
    """

    traits: Mapping[T, TraitWords]
    levels: Mapping[L, float]
    """Name of each level -> its position."""

    def __post_init__(self) -> None:
        """Put the levels in order, and hold what the rest relies on."""
        places = list(self.levels.values())
        if len(places) < 2 or len(set(places)) < len(places) or not all(-1 <= place <= 1 for place in places):
            raise ValueError(f"levels need at least two different positions from -1 to 1, not {places}")
        letters = [words.letter for words in self.traits.values() if words.letter]
        if len(set(letters)) < len(letters):
            raise ValueError(f"several traits have one letter: {', '.join(letters)}")
        descending = sorted(self.levels, key=self.levels.__getitem__, reverse=True)
        object.__setattr__(self, "levels", MappingProxyType({level: self.levels[level] for level in descending}))
        object.__setattr__(self, "traits", MappingProxyType(dict(self.traits)))

    @cached_property
    def ends(self) -> tuple[L, L]:
        """The level at the highest position and that at the lowest: a contrast is the first minus the second."""
        upper, *_, lower = self.levels
        return upper, lower

    def position(self, level: str) -> float:
        """Where a level stands, from -1 to 1. Raises KeyError for what is no level."""
        return self._positions[level]

    def opposite(self, level: str) -> L:
        """The level at the mirrored position; one in the middle is its own. Raises KeyError where there is none."""
        mirrored = {-at: name for name, at in self.levels.items()}
        return mirrored[self.position(level)]

    def pair(self, level: str) -> tuple[L, L]:
        """A level and its opposite, the upper one first. Raises KeyError where there is none."""
        both = self.opposite(level), self.opposite(self.opposite(level))
        return both if self.position(level) < 0 else both[::-1]

    def sign(self, level: str) -> int:
        """Where a level pushes: 1 up, -1 down, 0 nowhere. Raises KeyError for what is no level."""
        at = self.position(level)
        return (at > 0) - (at < 0)

    def adjectives(self, trait: T, level: str) -> tuple[str, ...]:
        """What people at a level are called; none in the middle. Raises KeyError for another trait or level."""
        words = self.traits[trait]
        return {1: words.upper, 0: (), -1: words.lower}[self.sign(level)]

    def in_order(self, traits: Container[object]) -> tuple[T, ...]:
        """Those of its traits that are among these, in its own order."""
        return tuple(trait for trait in self.traits if trait in traits)

    def place(self, trait: str, level: str) -> tuple[int, int]:
        """Where trait and level stand in tables; what the vocabulary does not know stands last."""
        trait_place, level_place = self._places
        return trait_place.get(trait, len(trait_place)), level_place.get(level, len(level_place))

    @cached_property
    def _positions(self) -> dict[str, float]:
        return dict(self.levels.items())

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        return {trait: at for at, trait in enumerate(self.traits)}, {level: at for at, level in enumerate(self.levels)}

    @cached_property
    def trait_of_letter(self) -> dict[str, T]:
        """Letter in a questionnaire's key -> trait, of the traits that have one."""
        return {words.letter: trait for trait, words in self.traits.items() if words.letter}


def _markers(letter: Domain, low_and_high: str) -> TraitWords:
    """A trait by its letter and pairs of adjectives, 'low/high, low/high'."""
    lower, upper = zip(*(pair.split("/") for pair in low_and_high.split(", ")), strict=True)
    return TraitWords(upper, lower, letter)


BIG_FIVE: Vocabulary[Trait, Level] = Vocabulary(
    traits={
        "openness": _markers(
            "O",
            "unimaginative/imaginative, uncreative/creative, "
            "artistically unappreciative/artistically appreciative, unaesthetic/aesthetic, unreflective/reflective, "
            "emotionally closed/emotionally aware, uninquisitive/curious, predictable/spontaneous, "
            "unintelligent/intelligent, unanalytical/analytical, unsophisticated/sophisticated, "
            "socially conservative/socially progressive",
        ),
        "conscientiousness": _markers(
            "C",
            "unsure/self-efficacious, messy/orderly, irresponsible/responsible, lazy/hardworking, "
            "undisciplined/self-disciplined, impractical/practical, extravagant/thrifty, disorganized/organized, "
            "negligent/conscientious, careless/thorough",
        ),
        "extraversion": _markers(
            "E",
            "unfriendly/friendly, introverted/extraverted, silent/talkative, timid/bold, "
            "unassertive/assertive, inactive/active, unenergetic/energetic, unadventurous/adventurous and daring, "
            "gloomy/cheerful",
        ),
        "agreeableness": _markers(
            "A",
            "distrustful/trustful, immoral/moral, dishonest/honest, unkind/kind, stingy/generous, "
            "unaltruistic/altruistic, uncooperative/cooperative, self-important/humble, unsympathetic/sympathetic, "
            "selfish/unselfish, disagreeable/agreeable",
        ),
        "neuroticism": _markers(
            "N",
            "relaxed/tense, at ease/nervous, easygoing/anxious, calm/angry, patient/irritable, "
            "happy/depressed, unselfconscious/self-conscious, level-headed/impulsive, contented/discontented, "
            "emotionally stable/emotionally unstable",
        ),
    },
    levels={"high": 1.0, "low": -1.0},
)
"""The default: the Big Five with the adjectives of Serapio-Garcia et al. 2023 (arXiv:2307.00184), after Goldberg."""
