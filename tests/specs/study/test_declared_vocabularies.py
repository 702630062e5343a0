"""A vocabulary that a study declares: which words its axes take, and what follows from the positions of its levels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import read, study_of
from traitgraph.specs.study.prompts import Prompt
from traitgraph.specs.study.vocabulary import BIG_FIVE

OWN = """
study: words
model: {{id: owner/model}}
benchmarks: mini-ipip
method: {method}
vocabulary:
  traits:
    warmth: {{high: {{adjectives: [warm, kind]}}, low: {{adjectives: [cold, icy]}}}}
    tact: {{facet_of: warmth}}
    wit: {{}}
  levels: {{low: -1, high: 1, middling: 0}}
traits: {traits}
"""


def test_all_means_the_traits_that_are_no_facets_and_every_level_from_the_highest_down(tmp_path: Path) -> None:
    (arm,) = study_of(OWN.format(method="prompt", traits="all"), tmp_path).arms
    assert arm.traits == ("warmth", "wit")
    assert arm.levels == ("high", "middling", "low")
    (arm,) = study_of(OWN.format(method="prompt", traits="[tact, warmth]"), tmp_path).arms
    assert arm.traits == ("tact", "warmth")


def test_a_vocabulary_lies_beside_the_spec_and_a_preset_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "vocabulary" / "mine.yaml").write_text("traits: {wit: {}}\n")
    text = """
        study: words
        model: {id: owner/model}
        benchmarks: mini-ipip
        method: prompt
        traits: all
        arms:
          mine: {vocabulary: mine}
          five: {}
          nine: {vocabulary: {preset: big-five, levels: {extremely high: 0.9, extremely low: -0.9}}}
          more: {vocabulary: {preset: mine, traits: {warmth: {}}}}
        """
    mine, five, nine, more = study_of(text, tmp_path).arms
    assert (mine.traits, mine.levels) == (("wit",), ("high", "low"))
    assert five.vocabulary == BIG_FIVE
    assert (nine.traits, nine.levels) == (five.traits, ("extremely high", "extremely low"))
    assert more.traits == ("wit", "warmth")


def test_a_facet_of_the_default_can_be_named_without_naming_the_vocabulary(tmp_path: Path) -> None:
    text = OWN.partition("vocabulary:")[0] + "traits: [imagination, openness]"
    (arm,) = study_of(text.format(method="{kind: prompt, style: description}"), tmp_path).arms
    assert arm.traits == ("imagination", "openness")
    assert arm.vocabulary.traits["imagination"].facet_of == "openness"


@pytest.mark.parametrize("style", ["adjectives", "description", "intensity"])
def test_the_big_five_have_words_for_every_style(style: str, tmp_path: Path) -> None:
    more = ", intensity: [1, 5]" if style == "intensity" else ""
    text = OWN.partition("vocabulary:")[0] + "traits: all"
    (arm,) = study_of(text.format(method=f"{{kind: prompt, style: {style}{more}}}"), tmp_path).arms
    assert isinstance(arm.method, Prompt)
    levels = arm.levels or (None,)
    texts = {arm.method.system(trait, level, 5) for trait in arm.traits for level in levels}
    assert len(texts) == len(arm.traits) * len(levels)


def test_filters_take_the_words_of_any_arm(tmp_path: Path) -> None:
    text = OWN.format(method="prompt", traits="all") + "exclude: [{trait: wit, level: middling}]\n"
    assert study_of(text, tmp_path).arms[0].excluded
    study, found = read(text.replace("trait: wit", "trait: openness"), tmp_path)
    assert study is None
    assert [each.message for each in found] == ["unknown trait 'openness'"]
