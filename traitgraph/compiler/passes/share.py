"""Merge jobs with equal keys, so that equal work runs once across arms, members of a multirun, and studies."""

from __future__ import annotations

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, row_ids


def share_equal_jobs(draft: Draft, context: Context) -> Draft:
    """Keep the first of all jobs with one key and point every user of the others to it.

    before: train#a(lr=1), train#b(lr=1) <- assess    after: train#a(lr=1) <- assess
    Arms keep pointing at their jobs, so `plan` and `explain` still know every origin.
    """
    assert len(draft.keys) == draft.rows, "jobs are shared by key: key_jobs runs before"
    new_of: dict[bytes, int] = {}
    place, kept = row_ids(), row_ids()
    for row, key in enumerate(draft.keys):
        new = new_of.setdefault(key, len(kept))
        if new == len(kept):
            kept.append(row)
        place.append(new)
    return draft.keep(kept, place)
