"""Put the stages into the order in which they can run, whatever arm they came from."""

from __future__ import annotations

from dataclasses import replace
from heapq import heapify, heappop, heappush

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, row_ids
from traitgraph.compiler.ir.renumber import mapped, renumber_arm, renumber_stage

KINDS = (
    "prepare", "generate", "train", "train_joint", "activations", "neurons", "vector", "merge", "assess", "analyse",
    "collect",
)  # fmt: skip

RANK = {kind: rank for rank, kind in enumerate(KINDS)}
"""Among stages that could run now, the kind that comes first; a kind of a plugin comes after these."""


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
    """Kahn's algorithm over stages, the lowest rank first, then order of appearance."""
    needs = [stage_inputs(draft, index) for index in range(len(draft.stages))]
    users: list[list[int]] = [[] for _ in needs]
    for index, sources in enumerate(needs):
        for source in sources:
            users[source].append(index)
    waiting = [len(sources) for sources in needs]
    ready = [(_rank(draft, index), index) for index, count in enumerate(waiting) if not count]
    heapify(ready)
    order = []
    while ready:
        _, index = heappop(ready)
        order.append(index)
        for user in users[index]:
            waiting[user] -= 1
            if not waiting[user]:
                heappush(ready, (_rank(draft, user), user))
    assert len(order) == len(needs), "stages form a cycle: lowering refers to a later row"
    return order


def _rank(draft: Draft, index: int) -> int:
    return RANK.get(draft.stages[index].kind, len(RANK))


def stage_inputs(draft: Draft, index: int) -> set[int]:
    """Numbers of the stages that feed a stage."""
    sources: set[int] = set()
    for each in draft.stages[index].inputs:
        for ref in set(each.refs):
            sources.add(draft.stage_of(ref))
    return sources
