"""Which points of an arm's product are left: `exclude` and `when`, read once per axis value and not once per point."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import cast

from traitgraph.specs.grid import Filter, same
from traitgraph.specs.study import Arm
from traitgraph.specs.traits import Combination

from .ir import Column, Table, row_ids

Test = Callable[[int], bool]
"""Whether a row matches."""


def admitted_rows(arm: Arm, points: Table) -> array[int]:
    """The rows that meet every rule and that no exclusion matches."""
    if not arm.excluded and not arm.rules:
        return row_ids(range(points.rows))
    holes = [matcher(each, points) for each in arm.excluded]
    rules = [(matcher(rule.condition, points), matcher(rule.only, points)) for rule in arm.rules]
    return row_ids(
        row
        for row in range(points.rows)
        if not any(hole(row) for hole in holes) and all(only(row) or not condition(row) for condition, only in rules)
    )


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
