"""Leave out jobs that nothing reads, so that no work is wasted."""

from __future__ import annotations

from dataclasses import replace

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import BASE, Draft, row_ids
from traitgraph.specs.study.job_kinds import kind_of


def drop_unread_jobs(draft: Draft, context: Context) -> Draft:
    """Leave out jobs that are only made to be read by others, and that no subject, measure or analysis reads.

    before: train -> vector, assess#alpha=0    after: assess#alpha=0
    """
    assert not draft.keys, "keys are computed of what is left"
    read = _read_rows(draft)
    if all(read):
        return draft
    kept = row_ids(row for row in range(draft.rows) if read[row])
    arms = (replace(arm, jobs=row_ids(row for row in arm.jobs if read[row])) for arm in draft.arms)
    return replace(draft, arms=tuple(arms)).keep(kept)


def _read_rows(draft: Draft) -> bytearray:
    """For each row 1 if it is an end in itself, makes a subject's weights, or feeds such a row, directly or not."""
    read = bytearray(draft.rows)
    for row in {row for arm in draft.arms for row in arm.weights if row != BASE}:
        read[row] = 1
    for stage, start in reversed(list(zip(draft.stages, draft.offsets, strict=False))):
        if not kind_of(stage.kind).is_means:
            read[start : start + stage.rows] = b"\1" * stage.rows
        places = [place for place in range(stage.rows) if read[start + place]]
        for each in stage.inputs:
            refs = each.refs if len(places) == stage.rows else (ref for place in places for ref in each.of(place))
            for ref in set(refs):
                read[ref] = 1
    return read
