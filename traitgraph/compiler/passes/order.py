"""Put the stages into the order in which they can run, whatever arm they came from."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft
from traitgraph.specs.study.job_kinds import kind_of


def order_stages(draft: Draft, context: Context) -> Draft:
    """Sort stages so that inputs come first; equal kinds of different arms stand together.

    before: train#a, assess#a, train#b, assess#b    after: train#a, train#b, assess#a, assess#b
    """
    assert not draft.status, "jobs are looked up in the store under their last numbers"
    order, starts = _topological(draft), draft.offsets
    if order == list(range(len(order))):
        return draft
    moved = [row for index in order for row in range(starts[index], starts[index + 1])]
    return draft.renumbered((draft.stages[index] for index in order), moved)


def _topological(draft: Draft) -> list[int]:
    """Kahn's algorithm over stages: of those that could run the lowest order of a kind first, then of appearance."""
    ranks = [kind_of(stage.kind).order for stage in draft.stages]
    needs = [{draft.stage_of(ref) for each in stage.inputs for ref in set(each.refs)} for stage in draft.stages]
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
