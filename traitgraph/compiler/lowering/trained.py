"""Tuned models, one for each trait and level or one for all at once, and the base: as it is, or after a message."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from traitgraph.compiler.ir.builder import Builder, Group, Made
from traitgraph.compiler.ir.ir import Column, Input, Table, row_ids
from traitgraph.compiler.ir.resolve import condition_prompt, in_context
from traitgraph.specs.jobs.params import Prompt as PromptText
from traitgraph.specs.study.contexts import SubjectContext
from traitgraph.specs.study.data import DataSpec
from traitgraph.specs.study.methods import Tuned
from traitgraph.specs.study.prompts import DemonstrationPrompt, Prompt
from traitgraph.specs.study.training import DpoTraining
from traitgraph.specs.study.traits import Combination

from .dialogues import Condition, dialogue_rows, own_traits, repeated

CONDITION = ("data", "trait", "level", "seed")
"""What one training depends on, besides the model and the settings of the arm."""


def lower_tuned(group: Group, builder: Builder) -> list[Made]:
    """The tuned model itself, for each trait, level and seed; a joint one serves all traits and levels."""
    method = group.arm.method
    assert isinstance(method, Tuned)
    joint = method.conditions == "joint"
    conditions, place = group.subjects.distinct(("data", "seed") if joint else CONDITION)
    trained = train(group, builder, conditions, first_places(place), joint=joint)
    refs = row_ids(trained[row] for row in place)
    return [Made(row_ids(range(group.subjects.rows)), (Input("tuned", refs),), refs)]


def first_places(place: Sequence[int]) -> array[int]:
    """For each distinct row, the first row that has it."""
    first: dict[int, int] = {}
    for row, distinct in enumerate(place):
        first.setdefault(distinct, row)
    return row_ids(first[distinct] for distinct in range(len(first)))


def train(
    group: Group, builder: Builder, conditions: Table, places: Sequence[int], *, joint: bool = False
) -> array[int]:
    """Rows of one training per condition; a joint one is on the rows of all traits and levels.

    `places` are subjects of the group that need each training, for labels.
    """
    trained = row_ids((0,)) * conditions.rows
    for shared, rows in conditions.split(("data",)):
        data = dialogue_rows(cast("DataSpec", shared["data"]), group.arm, builder)
        table = conditions.only(("seed",) if joint else ("trait", "level", "seed")).take(rows)
        dialogues = repeated(data, len(rows)) if joint else data.inputs(_needed(group, table))
        where = group.where(("model", "seed", "data"), places) if joint else named_conditions(group, conditions, places)
        traits = {"traits": own_traits(group.arm)} if joint else {}
        template = {"model": group.model, "data": data.data, "training": group.arm.train, **traits}
        kind, inputs = "train_joint" if joint else "train", (*group.model_input(len(rows)), *dialogues)
        numbers = builder.add(kind, template, table, inputs, where=where.take(rows))
        for row, number in zip(rows, numbers, strict=True):
            trained[row] = number
    return trained


def named_conditions(group: Group, conditions: Table, places: Sequence[int]) -> Table:
    """The coordinates of trainings and of their vectors: a composed subject has several traits, each of these one."""
    model, seed = (group.where(names, places).columns for names in (("model",), ("seed", "data")))
    return Table({**model, "trait": conditions["trait"], "level": conditions["level"], **seed}, conditions.rows)


def _needed(group: Group, table: Table) -> Iterable[list[Condition]]:
    """The dialogues that each training reads: those of its condition, and for preferences those of the other level."""
    for trait, level in zip(table["trait"], table["level"], strict=True):
        others = group.arm.vocabulary.opposites(str(level)) if isinstance(group.arm.train, DpoTraining) else ()
        yield [(str(trait), each) for each in (str(level), *others)]


def lower_direct(group: Group, builder: Builder) -> list[Made]:
    """The base as it is: nothing is made."""
    return [Made(row_ids(range(group.subjects.rows)))]


def lower_prompt(group: Group, builder: Builder) -> list[Made]:
    """The base after a message for each trait, level and intensity."""
    method = group.arm.method
    assert isinstance(method, Prompt)
    column, inputs = subject_prompts(group, method, builder)
    return [Made(row_ids(range(group.subjects.rows)), inputs, columns={"prompt": column})]


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


def with_contexts(group: Group, made: list[Made]) -> list[Made]:
    """The same subjects, each in its context: what makes one is shared by all of its contexts."""
    if "context" not in group.subjects:
        return made
    placed = []
    for each in made:
        prompts = each.columns.get("prompt", Column.constant(None, len(each.places)))
        both = {"prompt": prompts, "context": group.subjects["context"].take(each.places)}
        distinct, codes = Table(both, len(each.places)).distinct(both)
        pairs = zip(distinct["prompt"], distinct["context"], strict=True)
        texts = (in_context(cast("PromptText | None", prompt), cast("SubjectContext", one)) for prompt, one in pairs)
        placed.append(replace(each, columns={**each.columns, "prompt": Column(tuple(texts), codes)}))
    return placed


def subject_prompts(
    group: Group, prompt: Prompt, builder: Builder, intensity: object = None
) -> tuple[Column, tuple[Input, ...]]:
    """The prompt of every subject of a group, and the input `examples` where examples come from generated dialogues.

    A subject's own intensity, if that is an axis, goes before the one given. A composed subject gets a text per trait.
    """
    axes = ("trait", "level", "intensity", "combination")
    conditions, place = group.subjects.distinct(axes)
    shown = isinstance(prompt, DemonstrationPrompt)
    rows = dialogue_rows(group.arm.data[0], group.arm, builder) if shown else None
    texts = []
    for row in range(conditions.rows):
        known = {name: column[row] for name, column in conditions.columns.items()}
        strength = known.get("intensity", intensity)
        pairs = known.get("combination") or ((known.get("trait"), known.get("level")),)
        data = rows.data if rows else None
        each = [condition_prompt(prompt, *pair, strength, data) for pair in cast("Combination", pairs)]
        assert len(each) == 1 or not any(one.examples for one in each), "demonstrations show one trait"
        texts.append(each[0].model_copy(update={"system": "\n".join(one.system for one in each)}))
    inputs = repeated(rows, group.subjects.rows, "examples") if rows else ()
    return Column(tuple(texts), place), inputs
