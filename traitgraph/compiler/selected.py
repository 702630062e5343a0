"""What a selection leaves of the arms: the subjects that are measured and the jobs that are meant, for people."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from .dimensions import noun_of
from .ir import ArmTable, Draft, row_ids
from .select import Selector, arm_meets, matching_subjects


def selected_arms(draft: Draft, selectors: Sequence[Selector]) -> Iterator[ArmTable]:
    """Each arm that a selection speaks of, with its selected jobs and the subjects that these measure."""
    wanted = draft.wanted or frozenset()
    for arm in draft.arms:
        meant = [each for each in selectors if each.follow or arm_meets(arm, each)]
        jobs = row_ids(row for row in arm.jobs if row in wanted) if meant else row_ids()
        places = _subjects(arm, meant, wanted)
        if places or any(draft.locate(row)[0].kind != "assess" for row in jobs):  # else another arm's, under its name
            yield replace(_reduced(arm, places, wanted), jobs=jobs)


def _subjects(arm: ArmTable, selectors: Sequence[Selector], wanted: frozenset[int]) -> array[int]:
    """The subjects of an arm with a selected assessment; of a shared job those that the selection names."""
    named = set[int]()
    for each in selectors:
        named.update(range(arm.subjects.rows) if each.follow else matching_subjects(arm, each))
    measured = {place for _, rows in arm.measures for place, row in enumerate(rows) if row in wanted}
    return row_ids(sorted(named & measured))


def _reduced(arm: ArmTable, places: array[int], wanted: frozenset[int]) -> ArmTable:
    columns = [(name, row_ids(rows[place] for place in places)) for name, rows in arm.measures]
    return replace(
        arm,
        axes=_axes(arm, places),
        excluded=0,
        included=0,
        subjects=arm.subjects.take(places),
        names=arm.names.take(places),
        weights=row_ids(arm.weights[place] for place in places),
        measures=tuple((name, rows) for name, rows in columns if wanted.intersection(rows)),
    )


def _axes(arm: ArmTable, places: array[int]) -> tuple[tuple[str, int], ...]:
    """How many values of each axis are left; none where what is left is no product."""
    left = {
        noun_of(name): len({column.codes[place] for place in places}) for name, column in arm.subjects.columns.items()
    }
    axes = tuple((noun, left[noun.partition(" with ")[0]]) for noun, _ in arm.axes)
    return axes if prod(length for _, length in axes) == len(places) else ()
