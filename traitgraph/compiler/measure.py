"""Give every subject its assessments: one job per subject and benchmark."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from .builder import COORDINATES, Builder, Group, Made
from .instruments import Resolved
from .ir import Column, Table


def assess(group: Group, made: Iterable[Made], benchmark: Resolved, builder: Builder) -> list[tuple[int, int]]:
    """Pairs (subject of the group, row of its assessment) for one benchmark."""
    template = {"model": group.model, "benchmark": benchmark.params, "sampling": benchmark.sampling}
    pairs: list[tuple[int, int]] = []
    for each in made:
        rows = len(each.places)
        inputs = (*group.model_input(rows), *each.inputs, *benchmark.inputs(rows))
        where = group.where(COORDINATES, each.places)
        fields: dict[str, Column] = dict(each.columns)
        numbers = builder.add("assess", template, Table(fields, rows), inputs, where=where, name=benchmark.name)
        pairs += zip(each.places, numbers, strict=True)
    return pairs


def spread(pairs: Iterable[tuple[int, int]], subjects: array[int], into: array[int]) -> None:
    """Write the row of each pair at its subject's place; `subjects` are the group's rows within the arm."""
    for place, row in pairs:
        into[subjects[place]] = row
