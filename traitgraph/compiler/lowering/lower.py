"""Turn methods into the stages that they imply, and give every subject one assessment per benchmark.

What a method implies is one function, from the subjects of a group to what makes them. A new method is one record of
`specs/study/methods.py` and one line here. A plugin's method says it itself, by a method `lower` of its class, or by a
function under its name in the entry-point group `traitgraph.lowerings`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace

from traitgraph.compiler.ir.builder import COORDINATES, Builder, Group, Made, prepare
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import BASE, ArmTable, Column, Draft, Input, Table, row_ids
from traitgraph.compiler.ir.resolve import Resolver
from traitgraph.specs.fields.registry import Registry, UnknownNameError
from traitgraph.specs.source.diagnostics import SpecError, error
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.models import ModelSpec
from traitgraph.specs.study.study import Arm

from .benchmarks import Resolved, resolve_all
from .compare import compare
from .trained import lower_direct, lower_prompt, lower_tuned, with_arm_prompt, with_contexts
from .vectors import lower_compose, lower_vector

Lowering = Callable[[Group, Builder], list[Made]]

LOWERINGS: Registry[Lowering] = Registry(
    "lowering of a method",
    "traitgraph.lowerings",
    {
        "direct": lower_direct,
        "prompt": lower_prompt,
        "sft": lower_tuned,
        "dpo": lower_tuned,
        "vector": lower_vector,
        "compose": lower_compose,
        "steer": "traitgraph.compiler.lowering.steered:lower_steer",
        "npti": "traitgraph.compiler.lowering.steered:lower_npti",
    },
)


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
    found = builder.resolver
    return replace(
        draft,
        arms=arms,
        stages=tuple(builder.stages),
        locations=found.locations,
        sizes=builder.sizes,
        dialogues=found.rows,
        items=found.items,
    )


def lower_arm(table: ArmTable, arm: Arm, builder: Builder) -> ArmTable:
    """The arm with its jobs: which row measures each subject, and which row makes its weights."""
    first = builder.rows
    lowering = _lowering_of(arm)
    benchmarks = resolve_all(arm, builder)
    weights = row_ids((BASE,)) * table.subjects.rows
    assessments = {each.name: row_ids((BASE,)) * table.subjects.rows for each in benchmarks}
    scaled: list[tuple[array[int], array[int]]] = []
    for shared, rows in table.subjects.split(("model",)):
        group = _group(table, arm, shared["model"], rows, builder)
        made = with_contexts(group, with_arm_prompt(group, lowering(group, builder), builder))
        for each in made:
            if each.weights is not None:
                scatter_rows(zip(each.places, each.weights, strict=True), rows, weights)
        scaled += ((row_ids(rows[place] for place in each.places), refs) for each in made for refs in each.vectors)
        for benchmark in benchmarks:
            scatter_rows(assess(group, made, benchmark, builder), rows, assessments[benchmark.name])
    lowered = replace(table, weights=weights, assessments=tuple(assessments.items()))
    comparisons = tuple(compare(arm, lowered, scaled, builder))
    return replace(lowered, comparisons=comparisons, jobs=row_ids(range(first, builder.rows)))


def _lowering_of(arm: Arm) -> Lowering:
    """What the arm's method implies. Raises SpecError for a plugin's method that does not say."""
    own: Lowering | None = getattr(arm.method, "lower", None)
    try:
        return own or LOWERINGS.get(arm.method.kind)
    except UnknownNameError:
        what = f"no package says what the method `{arm.method.kind}` implies (a method `lower` of its class)"
        raise SpecError([error("TG209", what, path=f"arms.{arm.name}.method")]) from None


def _group(table: ArmTable, arm: Arm, model: object, rows: array[int], builder: Builder) -> Group:
    assert isinstance(model, ModelSpec)
    reference = builder.resolver.model(model)
    if model.parameters is not None:
        builder.sizes[encode(reference)] = model.parameters
    return Group(arm, reference, prepare(builder, reference), table.subjects.take(rows), table.names.take(rows))


def collect(arms: tuple[ArmTable, ...], builder: Builder) -> None:
    """One job that puts the metrics of every assessment and analysis of the study into one table."""
    made = {
        "assess": row_ids(row for arm in arms for _, rows in arm.assessments for row in rows),
        "analyse": row_ids(each.row for arm in arms for each in arm.comparisons),
    }
    inputs = [Input(name, rows, width=len(rows), unordered=True) for name, rows in made.items() if rows]
    builder.add("collect", {}, Table({}, 1), inputs)


def assess(group: Group, made: Iterable[Made], benchmark: Resolved, builder: Builder) -> list[tuple[int, int]]:
    """Pairs (subject of the group, row of its assessment) for one benchmark."""
    template = {"model": group.model, "benchmark": benchmark.params, "sampling": benchmark.sampling}
    pairs: list[tuple[int, int]] = []
    for each in made:
        rows = len(each.places)
        inputs = (*group.model_input(rows), *each.inputs, *benchmark.inputs(rows))
        where = group.where((*COORDINATES, "context"), each.places)
        fields: dict[str, Column] = dict(each.columns)
        numbers = builder.add("assess", template, Table(fields, rows), inputs, where=where, name=benchmark.name)
        pairs += zip(each.places, numbers, strict=True)
    return pairs


def scatter_rows(pairs: Iterable[tuple[int, int]], subjects: array[int], into: array[int]) -> None:
    """Write the row of each pair at its subject's place; `subjects` are the group's rows within the arm."""
    for place, row in pairs:
        into[subjects[place]] = row
