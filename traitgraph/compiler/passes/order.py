"""Put the stages into the order in which they can run, whatever arm they came from."""

from __future__ import annotations

from dataclasses import replace
from heapq import heapify, heappop, heappush

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, row_ids
from traitgraph.compiler.ir.renumber import mapped, renumber_arm, renumber_stage
from traitgraph.specs.jobs.kinds import kind_of


def order_stages(draft: Draft, context: Context) -> Draft:
    """Sort stages so that inputs come first; equal kinds of different arms stand together.

    before: train#a, assess#a, train#b, assess#b    after: train#a, train#b, assess#a, assess#b
    """
    order = _topological(draft)
    if order == list(range(len(order))):
        return draft
    place = row_ids([0]) * draft.rows
    row = 0
    for index in order:
        for old in range(draft.offsets[index], draft.offsets[index + 1]):
            place[old] = row
            row += 1
    keys, status = list(draft.keys), bytearray(draft.status)
    for old, new in enumerate(place):
        keys[new] = draft.keys[old]
        if draft.status:
            status[new] = draft.status[old]
    return replace(
        draft,
        stages=tuple(renumber_stage(draft.stages[index], place) for index in order),
        keys=keys,
        status=bytes(status),
        arms=tuple(renumber_arm(arm, place) for arm in draft.arms),
        wanted=None if draft.wanted is None else frozenset(mapped(list(draft.wanted), place)),
    )


def _topological(draft: Draft) -> list[int]:
    """Kahn's algorithm over stages: of those that could run the lowest order of a kind first, then of appearance."""
    ranks = [kind_of(stage.kind).order for stage in draft.stages]
    needs = [stage_inputs(draft, index) for index in range(len(draft.stages))]
    users: list[list[int]] = [[] for _ in needs]
    for index, sources in enumerate(needs):
        for source in sources:
            users[source].append(index)
    waiting = [len(sources) for sources in needs]
    ready = [(ranks[index], index) for index, count in enumerate(waiting) if not count]
    heapify(ready)
    order = []
    while ready:
        _, index = heappop(ready)
        order.append(index)
        for user in users[index]:
            waiting[user] -= 1
            if not waiting[user]:
                heappush(ready, (ranks[user], user))
    assert len(order) == len(needs), "stages form a cycle: lowering refers to a later row"
    return order


def stage_inputs(draft: Draft, index: int) -> set[int]:
    """Numbers of the stages that feed a stage."""
    sources: set[int] = set()
    for each in draft.stages[index].inputs:
        for ref in set(each.refs):
            sources.add(draft.stage_of(ref))
    return sources
