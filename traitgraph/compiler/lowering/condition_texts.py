"""The text of a prompt for one trait and level, and for several traits at once."""

from __future__ import annotations

from collections.abc import Iterable

from traitgraph.specs.jobs.params import Demonstrations
from traitgraph.specs.jobs.params import Prompt as PromptText
from traitgraph.specs.jobs.refs import DataRef
from traitgraph.specs.study.prompts import DemonstrationPrompt, Prompt
from traitgraph.specs.study.traits import Level, Trait


def condition_prompt(
    prompt: Prompt, trait: Trait, level: Level | None, intensity: object = None, data: DataRef | None = None
) -> PromptText:
    """The prompt of one trait and level; `data` is what demonstrations are drawn from."""
    examples = None
    if isinstance(prompt, DemonstrationPrompt):
        assert data is not None, "demonstrations are drawn from data"
        assert level is not None, "demonstrations belong to a level"
        examples = Demonstrations(data=data, trait=trait, level=level, count=prompt.examples, seed=prompt.seed)
    place = "user" if prompt.place == "user" else None
    return PromptText(system=prompt.system(trait, level, intensity), place=place, examples=examples)


def joined(prompts: Iterable[PromptText]) -> PromptText:
    """One prompt from those of several traits, one text a line."""
    each = list(prompts)
    if len(each) == 1:
        return each[0]
    assert not any(prompt.examples for prompt in each), "demonstrations show one trait"
    return PromptText(system="\n".join(prompt.system for prompt in each), place=each[0].place)
