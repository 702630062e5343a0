"""The Big Five: the five names, their order in the literature, and the two levels.

Levels are words everywhere. Some published code writes 0 for high and 1 for low; no such digit enters this program.
"""

from __future__ import annotations

from typing import Literal, get_args

Trait = Literal["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"]
Level = Literal["high", "low"]

TRAITS: tuple[Trait, ...] = get_args(Trait)
LEVELS: tuple[Level, ...] = get_args(Level)

Combination = tuple[tuple[Trait, Level], ...]
"""One level for each of several traits, in the order of `TRAITS`."""

TRAIT_OF_LETTER: dict[str, Trait] = {trait[0].upper(): trait for trait in TRAITS}
"""Questionnaire keys name a domain by its first letter: O, C, E, A, N."""
