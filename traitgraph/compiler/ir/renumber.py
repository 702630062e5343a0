"""Point every reference of a draft to new row numbers; used by the passes that drop or move rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from .ir import BASE, ArmTable, Draft, Input, Stage, row_ids


def keep_rows(draft: Draft, kept: Sequence[int], place: Sequence[int]) -> Draft:
    """The draft with the kept rows only, in their order; every reference points to `place[old] == new`."""
    stages = []
    for stage, start in zip(draft.stages, draft.offsets, strict=False):
        chosen = kept[bisect_left(kept, start) : bisect_left(kept, start + stage.rows)]
        if chosen:
            stages.append(renumber_stage(stage.take(row_ids(row - start for row in chosen)), place))
    return replace(
        draft,
        stages=tuple(stages),
        keys=[draft.keys[row] for row in kept] if draft.keys else (),
        arms=tuple(renumber_arm(arm, place) for arm in draft.arms),
    )


def renumber_stage(stage: Stage, place: Sequence[int]) -> Stage:
    """The stage whose inputs point to the new numbers: `place[old] == new`."""
    return replace(stage, inputs=tuple(_renumber_input(each, place) for each in stage.inputs))


def renumber_arm(arm: ArmTable, place: Sequence[int]) -> ArmTable:
    """The arm whose jobs and assessments point to the new numbers."""
    assessments = tuple((name, mapped(refs, place)) for name, refs in arm.assessments)
    weights = row_ids(row if row == BASE else place[row] for row in arm.weights)
    jobs = row_ids(sorted(set(mapped(arm.jobs, place))))
    comparisons = tuple(replace(each, row=place[each.row]) for each in arm.comparisons)
    return replace(arm, jobs=jobs, assessments=assessments, weights=weights, comparisons=comparisons)


def mapped(refs: Sequence[int], place: Sequence[int]) -> array[int]:
    """Each reference's new number."""
    return row_ids(map(place.__getitem__, refs))


def _renumber_input(each: Input, place: Sequence[int]) -> Input:
    refs = mapped(each.refs, place)
    if each.unordered and each.width == len(refs):  # one row: equal jobs fall together
        refs = row_ids(dict.fromkeys(refs))
        return replace(each, refs=refs, width=len(refs))
    return replace(each, refs=refs)
