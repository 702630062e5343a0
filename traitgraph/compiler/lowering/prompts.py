"""Prompts as jobs carry them: the text of each condition, and the examples that some texts leave open."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from traitgraph.compiler.ir.builder import Builder, Group, Made
from traitgraph.compiler.ir.ir import Column, Input
from traitgraph.specs.study.prompts import DemonstrationPrompt, Prompt
from traitgraph.specs.study.traits import Combination

from .condition_texts import condition_prompt, joined
from .dialogues import Rows, dialogue_rows, repeated


def with_arm_prompt(group: Group, made: list[Made], builder: Builder) -> list[Made]:
    """The same subjects, each after the prompt of its trait and level, if the arm has a prompt for its subjects."""
    prompt = group.arm.prompt
    if prompt is None or "prompt" not in group.arm.method.uses:
        return made
    intensity = prompt.own_axes().get("intensity", (None,))[0]
    column, inputs = subject_prompts(group, prompt, builder, intensity)
    return [
        replace(
            each,
            columns={**each.columns, "prompt": column.take(each.places)},
            inputs=(*each.inputs, *(one.take(each.places) for one in inputs)),
        )
        for each in made
    ]


def subject_prompts(
    group: Group, prompt: Prompt, builder: Builder, intensity: object = None
) -> tuple[Column, tuple[Input, ...]]:
    """The prompt of every subject of a group, and the input `examples` where examples come from generated dialogues.

    A subject's own intensity, if that is an axis, goes before the one given. A composed subject gets a text per trait.
    """
    axes = ("trait", "level", "intensity", "combination")
    conditions, place = group.subjects.distinct(axes)
    rows = _rows(group, prompt, builder)
    texts = []
    for row in range(conditions.rows):
        known = {name: column[row] for name, column in conditions.columns.items()}
        strength = known.get("intensity", intensity)
        pairs = known.get("combination") or ((known.get("trait"), known.get("level")),)
        texts.append(
            joined(
                condition_prompt(prompt, *pair, strength, rows.data if rows else None)
                for pair in cast("Combination", pairs)
            )
        )
    inputs = repeated(rows, group.subjects.rows, "examples") if rows else ()
    return Column(tuple(texts), place), inputs


def _rows(group: Group, prompt: Prompt, builder: Builder) -> Rows | None:
    if not isinstance(prompt, DemonstrationPrompt):
        return None
    return dialogue_rows(group.arm.data[0], group.arm, builder)
