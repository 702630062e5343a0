"""The vocabularies that ship with us, as files: what every trait says of itself, and that no words are said twice."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from traitgraph.specs.source.library import LIBRARY
from traitgraph.specs.study.vocabulary import BIG_FIVE

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["traits"]
    for file in sorted((LIBRARY / "vocabulary").glob("*.yaml"))
}
TRAITS = {f"{preset}/{name}": trait for preset, traits in PRESETS.items() for name, trait in traits.items()}
POLES = {f"{place}/{side}": trait[side] for place, trait in TRAITS.items() for side in ("high", "low")}
"""Every pole of every trait."""

each_preset = pytest.mark.parametrize("preset", PRESETS)
each_trait = pytest.mark.parametrize("trait", TRAITS.values(), ids=TRAITS)
each_pole = pytest.mark.parametrize("pole", POLES.values(), ids=POLES)


def facets(preset: str) -> Counter[str]:
    return Counter(trait["facet_of"] for trait in PRESETS[preset].values() if "facet_of" in trait)


def test_the_shipped_vocabularies_have_the_traits_of_their_models() -> None:
    of_their_own = {
        name: [trait for trait, words in traits.items() if "facet_of" not in words] for name, traits in PRESETS.items()
    }
    assert of_their_own == {
        "big-five": ["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"],
        "dark-triad": ["machiavellianism", "narcissism", "psychopathy"],
        "hexaco": [
            "honesty-humility", "emotionality", "extraversion", "agreeableness", "conscientiousness", "openness",
        ],
        "interpersonal": ["warmth", "empathy", "dominance", "trust", "humility", "assertiveness"],
        "persona-vectors": [
            "evil", "sycophancy", "hallucination", "apathy", "optimism", "humour", "impoliteness",
        ],
        "sixteen-pf": [
            "warmth", "reasoning", "emotional-stability", "dominance", "liveliness", "rule-consciousness",
            "social-boldness", "sensitivity", "vigilance", "abstractedness", "privateness", "apprehension",
            "openness-to-change", "self-reliance", "perfectionism", "tension",
        ],
    }  # fmt: skip


@each_trait
def test_a_trait_says_what_it_is_and_has_two_poles(trait: dict[str, Any]) -> None:
    assert set(trait) - {"letter", "facet_of"} == {"description", "high", "low"}
    assert re.fullmatch(r"[A-Z][^.]+\.", trait["description"]), "one sentence"
    assert trait["high"]["name"] != trait["low"]["name"]
    assert set(trait["high"]["adjectives"]).isdisjoint(trait["low"]["adjectives"])


@each_pole
def test_a_pole_has_a_name_a_text_that_stands_alone_and_enough_adjectives(pole: dict[str, Any]) -> None:
    """Five adjectives are what a prompt draws unless it is told another number."""
    assert set(pole) == {"name", "description", "adjectives"}
    sentences = re.split(r"(?<=\.) ", pole["description"])
    assert 2 <= len(sentences) <= 4
    assert sentences[0].startswith("You are ")
    assert sentences[-1].endswith(".")
    words = pole["adjectives"]
    assert len(set(words)) == len(words) >= 5
    assert all(re.fullmatch(r"[a-z][a-z -]*[a-z]", word) for word in words), "'You are very {word}, very ...'"


def test_no_description_and_no_sentence_of_one_is_said_twice() -> None:
    texts = [trait["description"] for trait in TRAITS.values()]
    texts += [sentence for pole in POLES.values() for sentence in re.split(r"(?<=\.) ", pole["description"])]
    assert [text for text, times in Counter(texts).items() if times > 1] == []


@each_preset
def test_letters_and_names_of_poles_are_unique_in_a_vocabulary(preset: str) -> None:
    traits = PRESETS[preset].values()
    letters = [trait["letter"] for trait in traits if "letter" in trait]
    poles = [trait[side]["name"] for trait in traits for side in ("high", "low")]
    assert len(set(letters)) == len(letters)
    assert [name for name, times in Counter(poles).items() if times > 1] == []
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in PRESETS[preset])


@each_preset
def test_a_facet_belongs_to_a_trait_that_is_no_facet_and_stands_after_it(preset: str) -> None:
    traits = PRESETS[preset]
    places = {name: place for place, name in enumerate(traits)}
    for name, trait in traits.items():
        if "facet_of" in trait:
            assert "facet_of" not in traits[trait["facet_of"]]
            assert places[trait["facet_of"]] < places[name]
            assert "letter" not in trait
    in_each = {"big-five": 6, "hexaco": 4}.get(preset)
    assert facets(preset) == dict.fromkeys(
        (name for name in traits if in_each and "facet_of" not in traits[name]), in_each
    )


def test_the_facets_of_the_big_five_are_those_of_the_questionnaire() -> None:
    """Name, trait and order as in IPIP-NEO-120, which ships with us."""
    items = json.loads((LIBRARY / "questionnaire" / "ipip-neo-120.json").read_text(encoding="utf-8"))["items"]
    asked = {(item["domain"], item["facet"], item["facet_name"].lower().replace(" ", "-")) for item in items}
    traits = PRESETS["big-five"]
    ours = [(traits[facet["facet_of"]]["letter"], name) for name, facet in traits.items() if "facet_of" in facet]
    assert ours == [
        (domain, name) for domain, _, name in sorted(asked, key=lambda one: ("OCEAN".index(one[0]), one[1]))
    ]


def test_the_adjectives_of_the_big_five_are_the_markers_that_job_keys_hold() -> None:
    """Word for word and in order, low beside high: which of them a prompt draws goes by these words."""
    traits = {name: trait for name, trait in PRESETS["big-five"].items() if "facet_of" not in trait}
    markers = {
        name: tuple(tuple(trait[side]["adjectives"]) for side in ("low", "high")) for name, trait in traits.items()
    }
    assert markers == {
        name: tuple(BIG_FIVE.pole(name, level).adjectives for level in ("low", "high"))
        for name in BIG_FIVE.traits
        if name in traits
    }
    lines = [f"{name}: {', '.join(map('/'.join, zip(*both, strict=True)))}" for name, both in markers.items()]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32] == "520b93014c1fca91abf56adc5e472487"
