"""Turn methods into the stages that they imply, down to the parameters that a job carries."""

from __future__ import annotations

from array import array
from dataclasses import replace

from traitgraph.specs.identity import encode
from traitgraph.specs.models import ModelSpec
from traitgraph.specs.study import Arm

from .builder import Builder, Group, Made, prepare
from .context import Context
from .ir import BASE, ArmTable, Draft, Input, Table, row_ids
from .measure import assess, spread
from .methods import LOWERINGS
from .resolve import Resolver


def lower_methods(draft: Draft, context: Context) -> Draft:
    """Write down the jobs of every arm as stages, and one collection of all assessments.

    before: arm(vector, traits x alphas)    after: train -> vector -> merge -> assess -> collect
    """
    assert draft.source is not None, "the first draft holds the study"
    builder = Builder(Resolver(context))
    arms = tuple(
        lower_arm(table, arm, builder) for table, arm in zip(draft.arms, draft.source.resolved_arms(), strict=True)
    )
    collect(arms, builder)
    return replace(
        draft, arms=arms, stages=tuple(builder.stages), locations=builder.resolver.locations, sizes=builder.sizes
    )


def lower_arm(table: ArmTable, arm: Arm, builder: Builder) -> ArmTable:
    """The arm with its jobs: which row measures each subject, and which row makes its weights."""
    first = builder.rows
    weights = row_ids((BASE,)) * table.subjects.rows
    measures = {each.name: row_ids((BASE,)) * table.subjects.rows for each in arm.benchmarks}
    for shared, rows in table.subjects.split(("model",)):
        group = _group(table, arm, shared["model"], rows, builder)
        made = LOWERINGS[arm.method.kind](group, builder)
        _note_weights(made, rows, weights)
        for instrument in arm.benchmarks:
            spread(assess(group, made, instrument, builder), rows, measures[instrument.name])
    jobs = row_ids(range(first, builder.rows))
    return replace(table, jobs=jobs, weights=weights, measures=tuple(measures.items()))


def _group(table: ArmTable, arm: Arm, model: object, rows: array[int], builder: Builder) -> Group:
    assert isinstance(model, ModelSpec)
    reference = builder.resolver.model(model)
    if model.parameters is not None:
        builder.sizes[encode(reference)] = model.parameters
    return Group(arm, reference, prepare(builder, reference), table.subjects.take(rows), table.names.take(rows))


def _note_weights(made: list[Made], rows: array[int], weights: array[int]) -> None:
    for each in made:
        for place, ref in zip(each.places, each.refs, strict=False):  # the base has no references
            weights[rows[place]] = ref


def collect(arms: tuple[ArmTable, ...], builder: Builder) -> None:
    """One job that puts the metrics of every assessment of the study into one table."""
    assessments = row_ids(row for arm in arms for _, rows in arm.measures for row in rows)
    inputs = (Input("assess", assessments, width=len(assessments), unordered=True),)
    builder.add("collect", {}, Table({}, 1), inputs)
