"""Adjectives that mark the poles of the Big Five: 52 pairs, low and high.

Source: the adjectival markers of Serapio-Garcia et al. 2023 (arXiv:2307.00184), after Goldberg's trait markers.
"""

from __future__ import annotations

from .identity import digest
from .traits import Level, Trait

PAIRS: dict[Trait, str] = {
    "openness": "unimaginative/imaginative, uncreative/creative, "
    "artistically unappreciative/artistically appreciative, unaesthetic/aesthetic, unreflective/reflective, "
    "emotionally closed/emotionally aware, uninquisitive/curious, predictable/spontaneous, "
    "unintelligent/intelligent, unanalytical/analytical, unsophisticated/sophisticated, "
    "socially conservative/socially progressive",
    "conscientiousness": "unsure/self-efficacious, messy/orderly, irresponsible/responsible, lazy/hardworking, "
    "undisciplined/self-disciplined, impractical/practical, extravagant/thrifty, disorganized/organized, "
    "negligent/conscientious, careless/thorough",
    "extraversion": "unfriendly/friendly, introverted/extraverted, silent/talkative, timid/bold, "
    "unassertive/assertive, inactive/active, unenergetic/energetic, unadventurous/adventurous and daring, "
    "gloomy/cheerful",
    "agreeableness": "distrustful/trustful, immoral/moral, dishonest/honest, unkind/kind, stingy/generous, "
    "unaltruistic/altruistic, uncooperative/cooperative, self-important/humble, unsympathetic/sympathetic, "
    "selfish/unselfish, disagreeable/agreeable",
    "neuroticism": "relaxed/tense, at ease/nervous, easygoing/anxious, calm/angry, patient/irritable, "
    "happy/depressed, unselfconscious/self-conscious, level-headed/impulsive, contented/discontented, "
    "emotionally stable/emotionally unstable",
}


def adjectives(trait: Trait, level: Level) -> tuple[str, ...]:
    """Every marker of one pole, in the order of the list.

    >>> adjectives("extraversion", "low")[:2]
    ('unfriendly', 'introverted')
    """
    return tuple(pair.split("/")[level == "high"] for pair in PAIRS[trait].split(", "))


def drawn(trait: Trait, level: Level, count: int | None, seed: int) -> tuple[str, ...]:
    """`count` different markers of one pole in an order that the seed decides; all of them in list order for None."""
    words = adjectives(trait, level)
    if count is None:
        return words
    return tuple(sorted(words, key=lambda word: digest("marker", [seed, trait, level, word]))[:count])
