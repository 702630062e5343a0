"""Find what is in the store already, and what still has to run."""

from __future__ import annotations

from dataclasses import replace

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import MISSING, PRESENT, UNNEEDED, Draft


def prune_present_jobs(draft: Draft, context: Context) -> Draft:
    """Mark each job as present, missing (it runs) or unneeded (absent, and nothing that runs asks for it).

    before: train -> vector -> assess    after: train (present) -> vector (missing) -> assess (missing)
    Every job of the study is wanted, unless a selection names the wanted ones: then absent inputs of wanted jobs are
    missing too, and all else that is absent is unneeded.
    """
    status = bytearray(draft.rows)
    row = 0
    for stage in draft.stages:
        for key in draft.keys[row : row + stage.rows]:
            status[row] = PRESENT if context.present(stage.kind, key.hex()) else MISSING
            row += 1
    if draft.wanted is not None:
        _mark_unneeded(draft, status, draft.wanted)
    return replace(draft, status=bytes(status))


def _mark_unneeded(draft: Draft, status: bytearray, wanted: frozenset[int]) -> None:
    asked = bytearray(draft.rows)
    for row in wanted:
        asked[row] = 1
    for row in reversed(range(draft.rows)):
        if status[row] == PRESENT:
            continue
        if not asked[row]:
            status[row] = UNNEEDED
            continue
        for ref in draft.needs(row):
            asked[ref] = 1
