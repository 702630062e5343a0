"""Prompts that give a subject its personality: the styles, and the text that each of them makes.

style          text
instruction    one sentence that names trait and level (BIG5-CHAT, arXiv:2410.16491)
demonstration  replies of the condition as examples (BIG5-CHAT)
description    a paragraph about a person at that pole (P2, Jiang et al. 2023, arXiv:2206.07550)
adjectives     marker adjectives of the pole, each with a modifier (Personality Vector, arXiv:2509.19727)
intensity      a trait defined, five anchors, and the level to reach (SAC)

`system` gives the system message; demonstrations are drawn from data at run time and stand in for {examples}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, PrivateAttr, ValidationInfo, model_validator

from traitgraph.specs.fields.axes import NumberAxis, whole_numbers
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.fields.templates import CONDITION, ConditionText, filled, placeholders
from traitgraph.specs.source.hashing import digest

from .method import Method
from .traits import Combinations, LevelWord, TraitWord, WordAxis, vocabulary_of
from .vocabulary import BIG_FIVE, Level, Trait, Vocabulary


def drawn(
    trait: Trait, level: Level, count: int | None, seed: int, vocabulary: Vocabulary = BIG_FIVE
) -> tuple[str, ...]:
    """`count` different adjectives of one pole in an order that the seed decides; all of them in list order for None.

    >>> drawn("extraversion", "low", None, 0)[:2]
    ('unfriendly', 'introverted')
    """
    words = vocabulary.pole(trait, level).adjectives
    if count is None:
        return words
    return tuple(sorted(words, key=lambda word: digest("marker", [seed, trait, level, word]))[:count])


StepAxis = Annotated[tuple[int, ...], NumberAxis(whole_numbers, "integer", least=1, most=5)]

Modifier = Literal["a bit", "plain", "very", "extremely"]
MODIFIERS: tuple[str, ...] = ("a bit", "plain", "very", "extremely")

DEGREES = ("not at all", "slightly", "moderately", "very", "extremely")
"""Of a pole's name, from level 1 to level 5, where no anchors are given; our wording."""


class Prompt(Method):
    """The base model after a message that names the trait and the level."""

    kind: Literal["prompt"] = Field("prompt", description="A message that names the trait and the level.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels"})
    needs: ClassVar[tuple[str, ...]] = ("traits",)
    style: str
    joins: ClassVar[bool] = True
    """Whether its texts for several traits make one text."""
    place: Literal["system", "user"] = Field(
        "system", description="system: a system message. user: in front of every user message, as BIG5-CHAT asks items."
    )
    combinations: Combinations | None = Field(
        None,
        description="One subject for each combination of levels over the traits: all, or a list, as of `compose`; its "
        "text is those of its traits, a line each. Only of the method.",
    )
    _vocabulary: Vocabulary = PrivateAttr(default_factory=lambda: BIG_FIVE)

    @model_validator(mode="after")
    def _with_words(self, info: ValidationInfo) -> Self:
        self._vocabulary = vocabulary_of(info)
        return self

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the traits that it is about."""
        return self._vocabulary

    def lacks(self, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> str | None:
        """What is not given for some of these conditions, such as 'descriptions of low openness'; None if nothing."""
        return None

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The text for one condition; `intensity` is a value of the axis of that name, if the style has one."""
        raise NotImplementedError(f"the prompt style {self.style} has no text of its own")


class InstructionPrompt(Prompt):
    """One sentence that names trait and level."""

    style: Literal["instruction"] = Field("instruction", description="One sentence that names trait and level.")
    template: ConditionText = Field(
        "You are a person with {level} {trait}.", description="The text, with {trait}, {Trait} and {level}. (BIG5-CHAT)"
    )

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The template filled in."""
        return filled(self.template, trait, str(level))


class DemonstrationPrompt(Prompt):
    """Replies of the condition as examples, drawn from the data at run time."""

    style: Literal["demonstration"] = Field("demonstration", description="Replies of the condition as examples.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels", "data"})
    needs: ClassVar[tuple[str, ...]] = ("traits", "data")
    joins: ClassVar[bool] = False
    examples: PositiveInt = Field(10, description="How many replies. (10: BIG5-CHAT)")
    seed: int = Field(
        42, ge=0, description="Seed of the draw; `-m method.seed=1,2,3` makes a subject of each draw. (42: BIG5-CHAT)"
    )
    template: Annotated[str, placeholders(*CONDITION, "examples", needs=("examples",))] = Field(
        "People like you have answered as follows:\n{examples}",
        description="The text, with {examples}, {trait}, {Trait} and {level}; our wording, after BIG5-CHAT.",
    )

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The template with trait and level filled in; {examples} is left for the run."""
        return filled(self.template, trait, str(level), examples="{examples}")


class DescriptionPrompt(Prompt):
    """A paragraph about a person at that pole: the vocabulary's, or one that is given; published ones must be."""

    style: Literal["description"] = Field("description", description="A paragraph about a person at that pole.")
    descriptions: dict[TraitWord, dict[LevelWord, str]] = Field(
        {},
        description="Paragraphs in the place of the vocabulary's: trait, then level. A model writes them from key "
        "words in P2 (arXiv:2206.07550).",
    )

    def lacks(self, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> str | None:
        """The first condition without a paragraph."""
        pairs = ((trait, level) for trait in traits for level in levels)
        return next(
            (f"`descriptions` of {level} {trait}" for trait, level in pairs if not self._of(trait, level)), None
        )

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The paragraph of the condition."""
        assert level is not None, "a description belongs to a level"
        return self._of(trait, level)

    def _of(self, trait: Trait, level: Level) -> str:
        if self.descriptions:  # given for some, a reader takes them for all
            return self.descriptions.get(trait, {}).get(level, "")
        return self.vocabulary.pole(trait, level).description


class AdjectivesPrompt(Prompt):
    """Marker adjectives of the pole, each with a modifier."""

    style: Literal["adjectives"] = Field("adjectives", description="Marker adjectives of the pole.")
    intensity: Annotated[tuple[Modifier, ...], WordAxis("intensity", MODIFIERS)] = Field(
        ("plain",), validate_default=False, description="Axis: modifier of each adjective; plain is none."
    )
    count: int | None = Field(
        5, ge=1, description="Adjectives drawn for each condition; null takes all. (5: Personality Vector)"
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")
    template: Annotated[str, placeholders("adjectives", needs=("adjectives",))] = Field(
        "You are {adjectives}.", description="The text, with {adjectives}; our wording."
    )

    def lacks(self, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> str | None:
        """The first condition with fewer adjectives than are drawn."""
        for trait, level in ((trait, level) for trait in traits for level in levels):
            if (there := len(self.vocabulary.pole(trait, level).adjectives)) < (self.count or 1):
                return f"{self.count or 1} adjectives of {level} {trait}, the vocabulary has {there}"
        return None

    def own_axes(self) -> dict[str, tuple[object, ...]]:
        """The modifiers."""
        return {"intensity": self.intensity}

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The template with the drawn adjectives, for example 'very calm, very patient'."""
        assert level is not None, "adjectives belong to a level"
        modifier = "" if intensity in (None, "plain") else f"{intensity} "
        words = [modifier + word for word in drawn(trait, level, self.count, self.seed, self.vocabulary)]
        return self.template.format(adjectives=", ".join(words))


class IntensityPrompt(Prompt):
    """A trait defined, five anchors from least to most, and the level to reach, 1 to 5 (SAC)."""

    style: Literal["intensity"] = Field("intensity", description="A definition, five anchors, and the level to reach.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits"})
    intensity: StepAxis = Field(description="Axis: the level to reach, 1 (least) to 5 (most).")
    definitions: dict[TraitWord, str] = Field(
        {}, description="What each trait means, in one sentence; absent: the vocabulary's description."
    )
    anchors: dict[TraitWord, Annotated[tuple[str, ...], Field(min_length=5, max_length=5)]] = Field(
        {},
        description="Five words for each trait, from level 1 to level 5; absent: made of the name of its upper pole.",
    )
    template: Annotated[
        str, placeholders("trait", "definition", "anchors", "level", "anchor", needs=("level", "anchor"))
    ] = Field(
        "{trait}: {definition}\nIts levels are {anchors}.\nAnswer as a person at level {level} ({anchor}).",
        description="The text, with {trait}, {definition}, {anchors}, {level} and {anchor}; our wording.",
    )

    def lacks(self, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> str | None:
        """The first trait without a definition or anchors."""
        needed = ((name, of(trait), trait) for trait in traits for name, of in self._words())
        return next((f"`{name}` of {trait}" for name, words, trait in needed if not words), None)

    def _words(self) -> tuple[tuple[str, Callable[[Trait], str | tuple[str, ...]]], ...]:
        return ("definitions", self._definition), ("anchors", self._anchors)

    def _definition(self, trait: Trait) -> str:
        if self.definitions:
            return self.definitions.get(trait, "")
        return self.vocabulary.complete.traits[trait].description

    def _anchors(self, trait: Trait) -> tuple[str, ...]:
        if self.anchors:
            return self.anchors.get(trait, ())
        name = self.vocabulary.complete.traits[trait].high.name
        return tuple(f"{degree} {name}" for degree in DEGREES) if name else ()

    def own_axes(self) -> dict[str, tuple[object, ...]]:
        """The levels 1 to 5."""
        return {"intensity": self.intensity}

    def system(self, trait: Trait, level: Level | None, intensity: object = None) -> str:
        """The template for one level of one trait."""
        assert isinstance(intensity, int), "this style has an axis of levels"
        anchors = self._anchors(trait)
        listed = ", ".join(f"{number} {word}" for number, word in enumerate(anchors, 1))
        known = {"trait": trait, "definition": self._definition(trait), "anchors": listed}
        return self.template.format(**known, level=intensity, anchor=anchors[intensity - 1])


PROMPT_STYLES: Registry[type[Prompt]] = Registry(
    "prompt style",
    "traitgraph.prompt_styles",
    (InstructionPrompt, DemonstrationPrompt, DescriptionPrompt, AdjectivesPrompt, IntensityPrompt),
    base=Prompt,
    tag="style",
)

AnyPrompt = Annotated[Prompt, Choice(PROMPT_STYLES, tag="style", default="instruction")]
"""A prompt: the name of a style, or a mapping with `style` and its parameters."""
