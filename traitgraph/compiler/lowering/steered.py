"""Subjects that are steered while they run: activations shifted at a layer, trait neurons turned up and down."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from traitgraph.compiler.ir.builder import Builder, Group, Made
from traitgraph.compiler.ir.ir import Column, Input, Table, row_ids
from traitgraph.compiler.ir.resolve import condition_prompt
from traitgraph.specs.jobs.params import NeuronsParams, NeuronSteering, OperatorSteering, Steering
from traitgraph.specs.study.data import DataSpec
from traitgraph.specs.study.method import Add
from traitgraph.specs.study.methods import Npti, Steer
from traitgraph.specs.study.vocabulary import Level, Trait, Vocabulary

from .dialogues import Condition, dialogue_rows
from .trained import first_places

SHIFT = ("level", "layer", "coefficient")


def lower_steer(group: Group, builder: Builder) -> list[Made]:
    """The base shifted by coefficient * (mean at the level - mean at the other level) after one block.

    Another operator than `add` does something else with the same measurement.
    """
    method = group.arm.method
    assert isinstance(method, Steer)
    place = _measured(group, builder, "activations", {"read_out": method.read_out})
    shifts, codes = group.subjects.distinct(SHIFT)
    values = tuple(
        _shift(method, group.arm.vocabulary, *row) for row in zip(*(shifts[name] for name in SHIFT), strict=True)
    )
    return [_made(group, "activations", place, "steering", Column(values, codes))]


def _shift(method: Steer, vocabulary: Vocabulary, level: Level, layer: object, coefficient: object) -> Steering:
    assert isinstance(layer, int)
    assert isinstance(coefficient, Decimal)
    signed = coefficient if vocabulary.sign(level) > 0 else -coefficient  # the direction that is measured points up
    shared = {"layer": layer, "coefficient": signed, "positions": method.positions, "normalise": method.normalise}
    if method.operation == Add():
        return Steering.model_validate(shared)
    return OperatorSteering.model_validate({**shared, "operation": method.operation})


def lower_npti(group: Group, builder: Builder) -> list[Made]:
    """The base with the neurons of the pole turned up by gamma and those of the other pole turned off."""
    method = group.arm.method
    assert isinstance(method, Npti)
    search = {name: getattr(method, name) for name in ("limit", "repetition_penalty", "max_new_tokens", "quantile")}
    place = _measured(group, builder, "neurons", search, method)
    levels, codes = group.subjects.distinct(("level", "gamma"))
    fixed = ("neurons", "difference", "share", "midpoint", "steepness", "seed")
    words = group.arm.vocabulary
    values = tuple(
        NeuronSteering(
            level=(ends := words.ends[:: words.sign(str(level))])[0],
            opposite=ends[1] if words.own_levels else None,
            gamma=gamma,
            **{name: getattr(method, name) for name in fixed},
        )
        for level, gamma in zip(levels["level"], levels["gamma"], strict=True)
    )
    return [_made(group, "neurons", place, "neurons", Column(values, codes))]


def _made(group: Group, kind: str, refs: array[int], field: str, column: Column) -> Made:
    return Made(row_ids(range(group.subjects.rows)), (Input(kind, refs),), columns={field: column})


def _measured(
    group: Group, builder: Builder, kind: str, settings: Mapping[str, object], method: Npti | None = None
) -> array[int]:
    """For each subject the row that measures what it is steered by: one job for each trait and data set."""
    conditions, place = group.subjects.distinct(("data", "trait"))
    first = first_places(place)
    numbers = row_ids((0,)) * conditions.rows
    for shared, rows in conditions.split(("data",)):
        data = dialogue_rows(cast("DataSpec", shared["data"]), group.arm, builder)
        traits = [cast("Trait", conditions["trait"][row]) for row in rows]
        ends = group.arm.vocabulary.ends
        values = {"trait": tuple(traits), **(_personas(method, traits, ends) if method else {})}
        each_once = row_ids(range(len(traits)))
        table = Table({name: Column(column, each_once) for name, column in values.items()}, len(rows))
        needed: list[list[Condition]] = [[(trait, level) for level in ends] for trait in traits]
        inputs = (*group.model_input(len(rows)), *data.inputs(needed))
        where = group.where(("model", "trait", "data"), row_ids(first[row] for row in rows))
        template = {"model": group.model, "data": data.data, **settings}
        for row, number in zip(rows, builder.add(kind, template, table, inputs, where=where), strict=True):
            numbers[row] = number
    return row_ids(numbers[row] for row in place)


def _personas(method: Npti, traits: list[Trait], ends: tuple[Level, Level]) -> dict[str, tuple[object, ...]]:
    """The prompts under which the model answers about each trait at the highest and the lowest level."""
    strength = method.personas.own_axes().get("intensity", (None,))[0]
    return {
        end: tuple(condition_prompt(method.personas, trait, level, strength) for trait in traits)
        for end, level in zip(NeuronsParams.row_fields[1:], ends, strict=True)
    }
