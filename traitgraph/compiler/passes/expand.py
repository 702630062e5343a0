"""Expand every arm into a table with one row per subject: the product of its axes, less filtered and with extra points.

`exclude` and `when` are read once per axis value and not once per point.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import cast

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.dimensions import LABELLED, Dimension, dimensions_of, texts_of
from traitgraph.compiler.ir.ir import ArmTable, Column, Draft, Table, row_ids
from traitgraph.specs.source.diagnostics import SpecError, error
from traitgraph.specs.study.filters import Filter, same
from traitgraph.specs.study.study import Arm, Study
from traitgraph.specs.study.traits import Combination


def expand_arms(draft: Draft, context: Context) -> Draft:
    """Give every arm its subjects, in the order of its axes, the last axis fastest.

    before: {traits: [openness], levels: [high, low], alpha: [0, 1]}    after: openness high 0, openness high 1, ...
    """
    assert draft.source is not None, "the first draft holds the study"
    arms = draft.source.resolved_arms()
    if twice := [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]:
        raise _one_name("arms", twice[0])
    return replace(draft, arms=tuple(expand_arm(draft.source, arm) for arm in arms))


def _one_name(what: str, name: str) -> SpecError:
    hint = "rows of results are told apart by their names"
    return SpecError([error("TG110", f"two {what} have one name: '{name}'", None, "", hint)])


def expand_arm(study: Study, arm: Arm) -> ArmTable:
    """The subjects of one arm."""
    dimensions = dimensions_of(arm)
    full = product_table(dimensions)
    kept = admitted_rows(arm, full)
    points = full if len(kept) == full.rows else full.take(kept)
    beside = [product_table(_overlaid(arm, dimensions, each)) for each in arm.included]
    subjects = joined([points, *beside]) if beside else points
    return ArmTable(
        study=study.study,
        name=arm.name,
        method=arm.method.kind,
        axes=tuple((each.noun, each.length) for each in dimensions),
        excluded=full.rows - len(kept),
        included=subjects.rows - len(kept),
        subjects=subjects,
        names=names_of(arm, subjects),
    )


def product_table(dimensions: Sequence[Dimension]) -> Table:
    """The table of a cartesian product, the last dimension fastest."""
    columns = {}
    codes = product_codes([each.length for each in dimensions])
    for each, column in zip(dimensions, codes, strict=True):
        columns.update({name: Column(values, column) for name, values in each.columns.items()})
    return Table(columns, prod(each.length for each in dimensions))


def product_codes(lengths: Sequence[int]) -> list[array[int]]:
    """Codes of every axis in the rows of a cartesian product, the last axis fastest.

    >>> [list(codes) for codes in product_codes([2, 3])]
    [[0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]]
    """
    rows = prod(lengths)
    columns, outer = [], 1
    for length in lengths:
        inner = rows // (outer * length)
        column = row_ids()
        for code in range(length):
            column.extend(row_ids((code,)) * inner)
        columns.append(column * outer)
        outer *= length
    return columns


def _overlaid(arm: Arm, dimensions: Sequence[Dimension], extra: Filter) -> list[Dimension]:
    """The arm's axes with the values that an `include` gives in the place of the arm's own."""
    given = extra.axes()
    axes = arm.axes()
    overlaid = []
    for dimension in dimensions:
        if given.keys().isdisjoint(dimension.columns):
            overlaid.append(dimension)
        else:
            overlaid += [Dimension({name: _values(axes[name], given.get(name))}) for name in dimension.columns]
    return overlaid


def _values(known: tuple[object, ...], given: tuple[object, ...] | None) -> tuple[object, ...]:
    """The given values; a name stands for the arm's value of that name, and a new number for itself."""
    if given is None:
        return known
    return tuple(next((value for value in known if same(wanted, value)), wanted) for wanted in given)


def joined(tables: Sequence[Table]) -> Table:
    """Tables of equal columns one below the other, each row once."""
    columns = {}
    for name in tables[0].columns:
        values: list[object] = []
        codes = row_ids()
        for table in tables:
            place = [_index(values, value) for value in table[name].values]
            codes.extend(map(place.__getitem__, table[name].codes))
        columns[name] = Column(tuple(values), codes)
    whole = Table(columns, sum(table.rows for table in tables))
    return whole.distinct(columns)[0]


def _index(values: list[object], value: object) -> int:
    """The place of a value in a list to which it is added when it is not there; values need not be hashable."""
    if value not in values:
        values.append(value)
    return values.index(value)


def names_of(arm: Arm, subjects: Table) -> Table:
    """What each subject is called: a column for its method and one for each axis that a label tells by itself."""
    columns: dict[str, Column] = {}
    for axis, column in subjects.columns.items():
        texts = texts_of(axis, column.values)
        if twice := [each for each, count in Counter(zip(*texts.values(), strict=True)).items() if count > 1]:
            raise _one_name(f"values of `{axis}` in the arm '{arm.name}'", " ".join(twice[0]))
        columns.update({name: Column(each, column.codes) for name, each in texts.items()})
    alphas = [name for name in columns if name.startswith("alpha:")]
    if alphas:
        each = zip(*(list(columns.pop(name)) for name in alphas), strict=True)
        columns["alpha"] = Column.of("+".join(map(str, texts)) for texts in each)
    if "coefficient" in columns:
        columns["alpha"] = columns.pop("coefficient")
    return _with_method(arm.method.kind, Table(columns, subjects.rows))


def _with_method(kind: str, names: Table) -> Table:
    """The names with the column `method`: the kind, and the axes that are told with it: 'prompt intensity=very'."""
    named = {name: column for name, column in names.columns.items() if name in LABELLED}
    others = ((name, column) for name, column in names.columns.items() if name not in named and len(column.values) > 1)
    words = [[f"{name}={text}" for text in column] for name, column in others]
    texts = (" ".join([kind, *each]) for each in zip(*words, strict=True))
    method = Column.of(texts) if words else Column.constant(kind, names.rows)
    return Table({"method": method, **named}, names.rows)


Test = Callable[[int], bool]
"""Whether a row matches."""


def admitted_rows(arm: Arm, points: Table) -> array[int]:
    """The rows that meet every rule and that no exclusion matches."""
    if not arm.excluded and not arm.rules:
        return row_ids(range(points.rows))
    excluded = [matcher(each, points) for each in arm.excluded]
    rules = [(matcher(rule.condition, points), matcher(rule.only, points)) for rule in arm.rules]

    def is_left(row: int) -> bool:
        met = all(only(row) or not condition(row) for condition, only in rules)
        return met and not any(matches(row) for matches in excluded)

    return row_ids(filter(is_left, range(points.rows)))


def matcher(wanted: Filter, points: Table) -> Test:
    """A test for rows that have, on every axis that the filter names, one of the values that it names.

    An axis that the points lack matches nothing. A composed point has several vectors, each with its trait, its level
    and perhaps its alpha: it matches when one of them does.
    """
    axes = wanted.axes()
    tests = [_axis_test(points[axis], axes.pop(axis)) for axis in list(axes) if axis in points]
    if axes:
        tests.append(_vectors_test(axes, points))
    return lambda row: all(test(row) for test in tests)


def _vectors_test(axes: Mapping[str, tuple[object, ...]], points: Table) -> Test:
    if "combination" not in points or not {"trait", "level", "alpha"}.issuperset(axes):
        return lambda row: False
    column = points["combination"]
    each = [_vector_tests(place, axes, points) for place in range(len(cast("Combination", column.values[0])))]
    return lambda row: any(all(test(row) for test in tests) for tests in each)


def _vector_tests(place: int, axes: Mapping[str, tuple[object, ...]], points: Table) -> list[Test]:
    """The tests of one of the vectors of composed points."""
    column = points["combination"]
    pairs = [cast("Combination", value)[place] for value in column.values]
    parts: dict[str, list[object]] = {"trait": [trait for trait, _ in pairs], "level": [level for _, level in pairs]}
    tests = [_axis_test(Column(tuple(parts[axis]), column.codes), axes[axis]) for axis in parts if axis in axes]
    if "alpha" in axes:
        tests.append(_axis_test(points[f"alpha:{pairs[0][0]}"], axes["alpha"]))
    return tests


def _axis_test(column: Column, wanted: tuple[object, ...]) -> Test:
    codes = column.codes
    matching = {code for code, value in enumerate(column.values) if any(same(each, value) for each in wanted)}
    return lambda row: codes[row] in matching
