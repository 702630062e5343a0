"""Which points of an arm's product are left: `exclude` and `when`, read once per axis value and not once per point."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import cast

from traitgraph.specs.grid import Filter, same
from traitgraph.specs.study import Arm

from .dimensions import Combination
from .ir import Table, row_ids

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

    An axis that the points lack matches nothing. A composed point has several traits, levels and perhaps alphas: it
    matches when one of them does.
    """
    tests = [_axis_test(axis, values, points) for axis, values in wanted.axes().items()]
    return lambda row: all(test(row) for test in tests)


def _axis_test(axis: str, wanted: tuple[object, ...], points: Table) -> Test:
    alternatives = [_codes_test(name, test, points) for name, test in _tests(axis, wanted, points).items()]
    return lambda row: any(alternative(row) for alternative in alternatives)


def _tests(axis: str, wanted: tuple[object, ...], points: Table) -> Mapping[str, Callable[[object], bool]]:
    def is_wanted(value: object) -> bool:
        return any(same(each, value) for each in wanted)

    def has_wanted(value: object) -> bool:
        return any(is_wanted(pair[place]) for pair in cast("Combination", value))

    place = ("trait", "level").index(axis) if axis in ("trait", "level") else 0
    if axis in points:
        return {axis: is_wanted}
    if axis in ("trait", "level") and "combination" in points:
        return {"combination": has_wanted}
    return {name: is_wanted for name in points.columns if name.startswith(f"{axis}:")}


def _codes_test(name: str, test: Callable[[object], bool], points: Table) -> Test:
    column = points[name]
    codes = column.codes
    matching = {code for code, value in enumerate(column.values) if test(value)}
    return lambda row: codes[row] in matching
