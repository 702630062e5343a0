"""Subjects with weights of their own: tuned models, and vectors scaled, summed and added to the base."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from decimal import Decimal

from traitgraph.compiler.builder import Builder, Group, Made
from traitgraph.compiler.ir import Column, Input, Table, row_ids
from traitgraph.specs.data import DataSpec

CONDITION = ("data", "trait", "level", "seed")
"""What one training depends on, besides the model and the settings of the arm."""


def lower_tuned(group: Group, builder: Builder) -> list[Made]:
    """One tuned model for each trait, level and seed; the subject is the tuned model itself."""
    rows = group.subjects.rows
    conditions, place = group.subjects.distinct(CONDITION)
    trained = train(group, builder, conditions, first_places(place))
    return [Made(row_ids(range(rows)), "tuned", row_ids(trained[row] for row in place), Table({}, rows))]


def lower_vector(group: Group, builder: Builder) -> list[Made]:
    """base + alpha * vector for each trait, level, seed and alpha; alpha 0 is the base itself."""
    conditions, place = group.subjects.distinct(CONDITION)
    firsts = first_places(place)
    vectors = make_vectors(group, builder, train(group, builder, conditions, firsts), firsts)
    alphas = group.subjects["alpha"]
    coefficients = Column(tuple((alpha,) for alpha in alphas.values), alphas.codes)
    return make_merges(group, builder, [row_ids(vectors[row] for row in place)], coefficients)


def first_places(place: Sequence[int]) -> array[int]:
    """For each distinct row, the first row that has it."""
    first: dict[int, int] = {}
    for row, distinct in enumerate(place):
        first.setdefault(distinct, row)
    return row_ids(first[distinct] for distinct in range(len(first)))


def train(group: Group, builder: Builder, conditions: Table, places: array[int]) -> array[int]:
    """Rows of one training per condition; `places` are subjects of the group, for labels."""
    assert group.arm.train is not None, "validation lets no method that trains through without `train`"
    trained = row_ids([0]) * conditions.rows
    for shared, rows in conditions.split(("data",)):
        data = shared["data"]
        assert isinstance(data, DataSpec)
        template = {"model": group.model, "data": builder.resolver.data(data), "training": group.arm.train}
        table = conditions.only(("trait", "level", "seed")).take(rows)
        where = group.where(("model", "trait", "level", "seed"), row_ids(places[row] for row in rows))
        numbers = builder.add("train", template, table, group.model_input(len(rows)), where=where)
        for row, number in zip(rows, numbers, strict=True):
            trained[row] = number
    return trained


def make_vectors(group: Group, builder: Builder, tuned: array[int], places: array[int]) -> array[int]:
    """Rows of one vector per tuned model."""
    inputs = (*group.model_input(len(tuned)), Input("tuned", tuned))
    where = group.where(("model", "trait", "level", "seed"), places)
    return builder.add("vector", {"model": group.model}, Table({}, len(tuned)), inputs, where=where)


def make_merges(group: Group, builder: Builder, vectors: Sequence[array[int]], coefficients: Column) -> list[Made]:
    """Rows of one merge per subject from parallel lists of vectors and the coefficients of each subject.

    A zero coefficient drops out of the recipe; a subject without any vector left is the base.
    """
    made = []
    kept = Column.of(tuple(map(bool, values)) for values in _tuples(coefficients))
    by_recipe = Table(
        {**group.subjects.columns, "kept": Column(kept.values, _through(kept, coefficients))}, len(coefficients)
    )
    for shared, rows in by_recipe.split(("merge", "kept")):
        used = [index for index, keep in enumerate(_bools(shared["kept"])) if keep]
        if not used:
            made.append(Made(rows, None, row_ids(), Table({}, len(rows))))
            continue
        refs = row_ids(vectors[index][row] for row in rows for index in used)
        table = Table({"coefficients": _chosen(coefficients, used).take(rows)}, len(rows))
        template = {"model": group.model, "method": shared["merge"], "keep": group.arm.keep}
        inputs = (*group.model_input(len(rows)), Input("vectors", refs, width=len(used)))
        where = group.where(("model", "trait", "level", "merge", "alpha", "seed"), rows)
        numbers = builder.add("merge", template, table, inputs, where=where)
        made.append(Made(rows, "merge", numbers, Table({}, len(rows))))
    return made


def _tuples(column: Column) -> list[tuple[Decimal, ...]]:
    values = []
    for value in column.values:
        assert isinstance(value, tuple)
        values.append(value)
    return values


def _bools(value: object) -> tuple[bool, ...]:
    assert isinstance(value, tuple)
    return value


def _through(outer: Column, inner: Column) -> array[int]:
    """Codes of a column whose entry for each row is the outer column's entry for the inner code."""
    return row_ids(map(outer.codes.__getitem__, inner.codes))


def _chosen(coefficients: Column, used: Sequence[int]) -> Column:
    values = tuple(tuple(value[index] for index in used) for value in _tuples(coefficients))
    return Column(values, coefficients.codes)
