"""Vectors and what is made from them: scaled, composed over traits, carried onto another model."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import cast

from traitgraph.compiler.ir.builder import COORDINATES, Builder, Group, Made, constant_input, prepare
from traitgraph.compiler.ir.dimensions import FURTHER
from traitgraph.compiler.ir.ir import Column, Input, Table, row_ids
from traitgraph.specs.study.merge_conventions import resolve
from traitgraph.specs.study.merge_methods import MergeMethod
from traitgraph.specs.study.methods import Vector
from traitgraph.specs.study.models import Onto
from traitgraph.specs.study.traits import Combination

from .trained import CONDITION, first_places, named_conditions, train


def lower_vector(group: Group, builder: Builder) -> list[Made]:
    """base + alpha * vector for each trait, level, seed and alpha; alpha 0 is the base itself."""
    method = group.arm.method
    assert isinstance(method, Vector)
    conditions, place = group.subjects.distinct(CONDITION)
    vectors = _vectors(group, builder, conditions, first_places(place), contrast=method.contrast)
    coefficients = group.subjects["alpha"].map(lambda alpha: (alpha,))
    return make_merges(group, builder, [row_ids(vectors[row] for row in place)], coefficients)


def lower_compose(group: Group, builder: Builder) -> list[Made]:
    """base + the vectors of several traits at one level each, under one alpha or one per trait."""
    conditions, places, place = _pairs(group)
    vectors = _vectors(group, builder, conditions, places, contrast=False)
    lists = [row_ids(vectors[row] for row in rows) for rows in place]
    return make_merges(group, builder, lists, _coefficients(group, len(lists)))


def _pairs(group: Group) -> tuple[Table, array[int], list[array[int]]]:
    """The distinct (data, seed, trait, level) of composed subjects, a subject of the data and seed of each, and for
    each trait the one that a subject uses.
    """
    subjects = group.subjects
    combos = cast("tuple[Combination, ...]", subjects["combination"].values)
    traits = [trait for trait, _ in combos[0]]
    shared, place = subjects.distinct(("data", "seed"))
    levels = [
        level for level in group.arm.vocabulary.levels if any(level == pair[1] for combo in combos for pair in combo)
    ]
    each = len(traits) * len(levels)
    rows = row_ids(row for row in range(shared.rows) for _ in range(each))
    table = shared.take(rows)
    inner = row_ids(range(each)) * shared.rows
    pairs = [(trait, level) for trait in traits for level in levels]
    columns = {
        **table.columns,
        "trait": Column(tuple(trait for trait, _ in pairs), inner),
        "level": Column(tuple(level for _, level in pairs), inner),
    }
    codes = subjects["combination"].codes
    number = {pair: index for index, pair in enumerate(pairs)}
    lists = [
        row_ids(place[row] * each + number[combos[code][index]] for row, code in enumerate(codes))
        for index in range(len(traits))
    ]
    first = first_places(place)
    return Table(columns, len(rows)), row_ids(first[row] for row in rows), lists


def _coefficients(group: Group, traits: int) -> Column:
    subjects = group.subjects
    if "alpha" in subjects:
        return subjects["alpha"].map(lambda alpha: (alpha,) * traits)
    ordered = group.arm.vocabulary.in_order(group.arm.traits)
    return Column.of(zip(*(subjects[f"alpha:{trait}"] for trait in ordered), strict=True))


def _vectors(group: Group, builder: Builder, conditions: Table, places: Sequence[int], *, contrast: bool) -> array[int]:
    """Rows of one vector per condition; with `contrast` the other level's model stands in the place of the base."""
    tuned = train(group, builder, conditions, places)
    inputs = [*group.model_input(len(tuned)), Input("tuned", tuned)]
    if contrast:
        others = Table(
            {**conditions.columns, "level": conditions["level"].map(group.arm.vocabulary.opposite)}, conditions.rows
        )
        inputs.append(Input("opposite", train(group, builder, others, places)))
    where = named_conditions(group, conditions, places)
    return builder.add("vector", {"model": group.model}, Table({}, len(tuned)), inputs, where=where)


def domain_vector(group: Group, onto: Onto, builder: Builder) -> int:
    """The row of domain - base, from a ready-made model."""
    tuned = builder.resolver.model(onto.model)
    inputs = (*group.model_input(1), *constant_input("tuned_model", prepare(builder, tuned), 1))
    template = {"model": group.model, "tuned": tuned, "names": onto.names}
    where = Table({"model": Column.constant(onto.model.name, 1)}, 1)
    return builder.add("vector", template, Table({}, 1), inputs, where=where)[0]


def make_merges(group: Group, builder: Builder, vectors: Sequence[array[int]], coefficients: Column) -> list[Made]:
    """Rows of one merge per subject from parallel lists of vectors and the coefficients of each subject.

    A zero coefficient drops out of the recipe where the method lets it; a subject without any other is the base.
    """
    onto = group.arm.onto
    domain = domain_vector(group, onto, builder) if onto else None
    made = []
    for shared, rows in _by_recipe(group.subjects, coefficients).split(("merge", "kept", "carried")):
        method = resolve(cast("MergeMethod", shared["merge"]))
        used = _used(method, cast("tuple[bool, ...]", shared["kept"]))
        carried = bool(shared.get("carried"))
        taken = tuple(row_ids(map(each.__getitem__, rows)) for each in vectors)
        if not used and not carried:
            made.append(Made(rows, vectors=taken))
            continue
        inputs = list(group.model_input(len(rows)))
        columns = {"coefficients": coefficients.take(rows).map(partial(_chosen, used))}
        if used:
            refs = row_ids(vectors[index][row] for row in rows for index in used)
            inputs.append(Input("vectors", refs, width=len(used)))
        if carried and domain is not None:
            inputs += constant_input("onto", domain, len(rows))
            columns["onto"] = group.subjects["onto"].take(rows)
        template = {"model": group.model, "method": method, "keep": group.arm.keep}
        where = group.where((*COORDINATES, *FURTHER), rows)
        numbers = builder.add("merge", template, Table(columns, len(rows)), inputs, where=where)
        made.append(Made(rows, (Input("merge", numbers),), numbers, vectors=taken))
    return made


def _used(method: MergeMethod, kept: Sequence[bool]) -> list[int]:
    """Which vectors the recipe names: those with a coefficient, or all where one without it still counts."""
    everything = any(kept) and not method.ignores_zero
    return [index for index, keep in enumerate(kept) if keep or everything]


def _by_recipe(subjects: Table, coefficients: Column) -> Table:
    """The subjects with what decides the shape of a recipe: which coefficients are not zero, the domain's too."""
    carried = {"carried": subjects["onto"].map(bool)} if "onto" in subjects else {}
    kept = coefficients.map(lambda values: tuple(map(bool, values)))
    return Table({**subjects.columns, **carried, "kept": kept}, subjects.rows)


def _chosen(used: Sequence[int], values: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(map(values.__getitem__, used))
