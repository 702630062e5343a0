"""The texts that give a subject its personality."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from traitgraph.specs.fields.pydantic_errors import validated
from traitgraph.specs.study.prompts import (
    PROMPT_STYLES,
    AdjectivesPrompt,
    DemonstrationPrompt,
    DescriptionPrompt,
    InstructionPrompt,
    IntensityPrompt,
    Prompt,
    drawn,
)
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait

LEVELS, TRAITS = tuple(BIG_FIVE.levels), tuple(BIG_FIVE.traits)


def test_an_instruction_names_trait_and_level() -> None:
    assert InstructionPrompt().system("openness", "high") == "You are a person with high openness."


@pytest.mark.parametrize(("intensity", "modifier"), [("plain", ""), ("a bit", "a bit "), ("very", "very ")])
def test_each_adjective_has_its_modifier_once(intensity: str, modifier: str) -> None:
    """'very emotionally stable', not 'very emotionally very stable' as in the published script."""
    prompt = AdjectivesPrompt(count=None)
    text = prompt.system("neuroticism", "low", intensity).removeprefix("You are ").removesuffix(".")
    assert text.split(", ") == [modifier + word for word in drawn("neuroticism", "low", None, 0)]


def test_there_are_52_pairs_of_markers() -> None:
    """Of E 9, A 11, C 10, N 10, O 12, as Serapio-Garcia et al. list them."""
    counts = {trait: len(drawn(trait, level, None, 0)) for trait in TRAITS for level in LEVELS}
    assert counts == {
        "openness": 12, "conscientiousness": 10, "extraversion": 9, "agreeableness": 11, "neuroticism": 10,
    }  # fmt: skip
    assert sum(counts.values()) == 52


@pytest.mark.parametrize("trait", TRAITS)
@pytest.mark.parametrize("level", LEVELS)
def test_adjectives_are_drawn_without_repetition_and_the_same_each_time(trait: Trait, level: Level) -> None:
    first = drawn(trait, level, 5, seed=0)
    assert len(set(first)) == 5
    assert set(first) <= set(drawn(trait, level, None, 0))
    assert first == drawn(trait, level, 5, seed=0)
    assert any(drawn(trait, level, 5, seed=seed) != first for seed in range(1, 5))


def test_the_draw_is_the_same_on_every_machine() -> None:
    """A frozen value: it is part of job keys."""
    words = ("analytical", "spontaneous", "artistically appreciative", "aesthetic", "intelligent")
    assert drawn("openness", "high", 5, seed=0) == words


def test_a_demonstration_leaves_its_examples_for_the_run() -> None:
    text = DemonstrationPrompt(template="{trait} {level}:\n{examples}").system("openness", "low")
    assert text == "openness low:\n{examples}"


def test_a_text_can_have_the_trait_with_a_capital() -> None:
    assert InstructionPrompt(template="{Trait} - {level} ({trait})").system("openness", "low") == (
        "Openness - low (openness)"
    )
    text = DemonstrationPrompt(template="{Trait} {level}:\n{examples}").system("openness", "low")
    assert text == "Openness low:\n{examples}"


def test_a_description_is_that_of_the_condition() -> None:
    prompt = DescriptionPrompt(descriptions={"openness": {"high": "Curious.", "low": "Practical."}})
    assert prompt.system("openness", "low") == "Practical."


def test_an_intensity_names_its_anchor() -> None:
    words = ("closed", "wary", "even", "open", "boundless")
    openness = {"definitions": {"openness": "Liking the new."}, "anchors": {"openness": words}}
    prompt = validated(IntensityPrompt, {"intensity": 4, **openness})
    assert prompt.system("openness", None, 4) == (
        "openness: Liking the new.\nIts levels are 1 closed, 2 wary, 3 even, 4 open, 5 boundless.\n"
        "Answer as a person at level 4 (open)."
    )


@pytest.mark.parametrize(
    ("prompt", "template", "why"),
    [
        (DemonstrationPrompt, "Be {level} in {trait}.", "the text must hold {examples}"),
        (DemonstrationPrompt, "{{examples}} {examples}", "the text must hold {examples}"),
        (AdjectivesPrompt, "Be yourself.", "the text must hold {adjectives}"),
        (IntensityPrompt, "{trait}: {definition} {anchors}", "the text must hold {level} or {anchor}"),
        (InstructionPrompt, "{trait!r}", "the text has no {trait!r}"),
        (InstructionPrompt, "{level:d}", "the text has no {level:d}"),
        (InstructionPrompt, 'Answer as {"rating": 1}.', 'the text has no {"rating": 1}'),
    ],
)
def test_a_text_holds_what_its_style_puts_in_and_no_other_place(prompt: type[Prompt], template: str, why: str) -> None:
    """Without it, the text would be the same whatever is asked for."""
    parts = {"intensity": 1, "definitions": {}, "anchors": {}} if prompt is IntensityPrompt else {}
    style = next(name for name, each in PROMPT_STYLES.items() if each is prompt)
    with pytest.raises(ValidationError, match=re.escape(why)):
        validated(prompt, {"kind": "prompt", "style": style, "template": template, **parts})


def test_what_is_put_in_is_no_template() -> None:
    anchors = {"openness": ("{level}", "{x}", "c", "d", "{}")}
    prompt = IntensityPrompt(style="intensity", intensity=(1,), definitions={"openness": "{anchor} {"}, anchors=anchors)
    assert prompt.system("openness", None, 5).startswith("openness: {anchor} {\nIts levels are 1 {level}, 2 {x}, 3 c")
    described = DescriptionPrompt(style="description", descriptions={"openness": {"high": "a {trait} {"}})
    assert described.system("openness", "high") == "a {trait} {"
