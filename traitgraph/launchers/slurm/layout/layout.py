"""Lay tasks out as job arrays: one array per stage and resource shape, with the fewest and finest edges between them.

Pure: tasks in, arrays out. Knows nothing of scripts, of the scheduler's state or of what a task computes.

An edge is hard when a failed parent leaves its child nothing to do: every job of the child needs every job of the
parent. Hard edges are `afterok` and `aftercorr`, so that SLURM drops what cannot run. Any other edge is `afterany`: the
child runs what it can and reports the rest as blocked.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Literal

from traitgraph.specs.study.cluster import Resources

MOST_ARRAYS = 4
"""A stage is split for the sake of finer edges into at most this many arrays: each one is a call of sbatch."""

MOST_ARRAY_TASKS = 8
"""An array names at most this many single tasks of others; beyond that it waits for whole arrays."""

EdgeKind = Literal["afterok", "afterany", "aftercorr"]
Place = tuple[str, int]
"""Where a task stands: its array, and its index there."""


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task as the layout sees it."""

    id: str
    stage: str
    resources: Resources
    after: tuple[str, ...] = ()
    hard: frozenset[str] = frozenset()
    """Those of `after` whose failure leaves this task nothing to do."""
    minutes: float = 0.0
    """Expected length. [minutes]"""
    given_minutes: int = 0
    """Time limit that the cluster file itself gives, whatever the task ran out of before. [minutes]"""
    outside: frozenset[str] = frozenset()
    """Jobs of other runs that make what it needs."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An array waits for another one: for all of it, for the task of its own index, or for one task."""

    kind: EdgeKind
    array: str
    element: int | None = None
    """Index of that one task; the name under which submissions on disk know it."""


@dataclass(frozen=True, slots=True)
class TaskArray:
    """One array of tasks with equal resources and equal edges; a single task is an array of one."""

    id: str
    tasks: Mapping[int, str]
    """Array index -> task id. Indices may have holes, where those of a parent array decide them."""
    resources: Resources
    edges: tuple[Edge, ...] = ()
    outside: tuple[str, ...] = ()
    """Jobs of other runs whose end it waits for."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Tasks of one block that share their edges; `indices` only where the parents decide them."""

    tasks: tuple[TaskRequest, ...]
    edges: tuple[Edge, ...] = ()
    indices: tuple[int, ...] | None = None


def lay_out(
    tasks: Sequence[TaskRequest], array_size: int, longest: Callable[[Resources], float | None] = lambda asked: None
) -> tuple[TaskArray, ...]:
    """Arrays in an order in which they can be submitted, none with an index of `array_size` or more.

    `longest`: the most minutes that the site gives to tasks with these resources.

    before: train a, b; assess c(after a), d(after b); collect e(after c, d)
    after:  train {0: a, 1: b}; assess {0: c, 1: d} aftercorr train; collect {0: e} afterok assess
    """
    placed: dict[str, Place] = {}
    arrays: list[TaskArray] = []
    for block in _blocks(tasks):
        sizes = {array.id: len(array.tasks) for array in arrays}
        made = list(_arrays_of(block, placed, sizes, array_size, longest))
        placed |= {task: (array.id, index) for array in made for index, task in array.tasks.items()}
        arrays += made
    return tuple(arrays)


def _blocks(tasks: Sequence[TaskRequest]) -> list[list[TaskRequest]]:
    """Tasks of equal depth, stage and resources, parents first, in their given order.

    Those that wait for other runs stand apart from those that need not.
    """
    known = {task.id: task for task in tasks}
    depth: dict[str, int] = {}
    for name in TopologicalSorter({task.id: [p for p in task.after if p in known] for task in tasks}).static_order():
        depth[name] = 1 + max((depth[parent] for parent in known[name].after if parent in known), default=0)
    blocks: dict[tuple[int, str, Resources, bool], list[TaskRequest]] = defaultdict(list)
    for task in tasks:
        blocks[depth[task.id], task.stage, task.resources, bool(task.outside)].append(task)
    return [blocks[key] for key in sorted(blocks, key=lambda key: key[0])]


def _arrays_of(
    block: Sequence[TaskRequest],
    placed: Mapping[str, Place],
    sizes: Mapping[str, int],
    array_size: int,
    longest: Callable[[Resources], float | None],
) -> Iterator[TaskArray]:
    groups = _aligned(block, placed) or _by_parents(block, placed, sizes) or [_whole(block, placed, sizes)]
    pieces: list[_Group] = []
    for group in groups:
        count = len(group.tasks)
        size = array_size if group.indices is None else count  # the indices of a parent array, which fits
        pieces += [replace(group, tasks=group.tasks[start : start + size]) for start in range(0, count, size)]
    for number, piece in enumerate(pieces):
        name = _unused(block[0].stage, number if len(pieces) > 1 else None, sizes)
        indices = piece.indices or range(len(piece.tasks))
        tasks = {index: task.id for index, task in zip(indices, piece.tasks, strict=True)}
        outside = frozenset[str]().union(*(task.outside for task in piece.tasks))
        yield TaskArray(name, tasks, _with_time(piece.tasks, longest), piece.edges, tuple(sorted(outside)))


def _unused(stage: str, number: int | None, taken: Mapping[str, int]) -> str:
    """A name for an array: the stage, a letter for each further resource shape, a number for each part."""
    for letter in ("", *"bcdefghijklmnopqrstuvwxyz"):
        name = f"{stage}{letter and '-' + letter}{'' if number is None else f'.{number}'}"
        if name not in taken:
            return name
    raise ValueError(f"stage {stage} has more than 26 resource shapes: write fewer rules in the cluster file")


def _with_time(tasks: Sequence[TaskRequest], longest: Callable[[Resources], float | None]) -> Resources:
    """The shared resources with a limit of twice the longest expected task, if that is more than they say.

    What the cluster file does not ask for itself stays under the longest limit of the site: a task goes on from its
    checkpoint after each one. [minutes]
    """
    resources = tasks[0].resources
    wanted = max(resources.minutes or 0, math.ceil(2 * max(task.minutes for task in tasks)))
    most = longest(resources)
    if most is not None:
        wanted = max(min(wanted, int(most)), *(task.given_minutes for task in tasks))
    return resources.model_copy(update={"minutes": wanted or None})


def _parents(task: TaskRequest, placed: Mapping[str, Place]) -> dict[str, Place]:
    return {parent: placed[parent] for parent in task.after if parent in placed}


def _aligned(block: Sequence[TaskRequest], placed: Mapping[str, Place]) -> list[_Group] | None:
    """Groups in which task i waits for the tasks i of its parent arrays; None where that takes too many arrays.

    Several children of one parent go to several arrays, one each.
    """
    ranks: dict[tuple[frozenset[str], int], int] = defaultdict(int)
    groups: dict[tuple[frozenset[str], int], list[tuple[int, TaskRequest]]] = defaultdict(list)
    for task in block:
        parents = _parents(task, placed)
        indices = {index for _, index in parents.values()}
        arrays = frozenset(array for array, _ in parents.values())
        if len(indices) != 1 or len(arrays) != len(parents) or not task.hard.issuperset(parents):
            return None
        index = indices.pop()
        groups[arrays, ranks[arrays, index]].append((index, task))
        ranks[arrays, index] += 1
    if len(groups) > MOST_ARRAYS:
        return None
    found = []
    for (arrays, _), members in groups.items():
        members.sort(key=lambda member: member[0])
        edges = tuple(Edge("aftercorr", array) for array in sorted(arrays))
        found.append(_Group(tuple(task for _, task in members), edges, tuple(index for index, _ in members)))
    return found


def _by_parents(
    block: Sequence[TaskRequest], placed: Mapping[str, Place], sizes: Mapping[str, int]
) -> list[_Group] | None:
    """Groups of tasks that wait for the same few array tasks; None where that takes too many arrays or edges."""
    groups: dict[frozenset[Place], list[TaskRequest]] = defaultdict(list)
    for task in block:
        groups[frozenset(_parents(task, placed).values())].append(task)
    edges = {parents: _array_task_edges(members, placed, sizes) for parents, members in groups.items()}
    if len(groups) > MOST_ARRAYS or any(len(each) > MOST_ARRAY_TASKS for each in edges.values()):
        return None
    return [_Group(tuple(members), edges[parents]) for parents, members in groups.items()]


def _array_task_edges(
    members: Sequence[TaskRequest], placed: Mapping[str, Place], sizes: Mapping[str, int]
) -> tuple[Edge, ...]:
    """Edges to exactly these array tasks; an array of which all are named is named as a whole."""
    named: dict[tuple[EdgeKind, str], list[int]] = defaultdict(list)
    for parent in _parents(members[0], placed):  # all members have the same ones
        kind: EdgeKind = "afterok" if all(parent in member.hard for member in members) else "afterany"
        array, index = placed[parent]
        named[kind, array].append(index)
    edges: list[Edge] = []
    for (kind, array), indices in sorted(named.items()):
        whole = len(indices) == sizes[array]
        edges += [Edge(kind, array)] if whole else [Edge(kind, array, index) for index in sorted(indices)]
    return tuple(edges)


def _whole(block: Sequence[TaskRequest], placed: Mapping[str, Place], sizes: Mapping[str, int]) -> _Group:
    """One group that waits for whole arrays: hard only where every task needs every array task."""
    parents = {task.id: _parents(task, placed) for task in block}
    arrays = sorted({array for places in parents.values() for array, _ in places.values()})

    def is_hard(array: str) -> bool:
        return all(
            sum(other == array and parent in task.hard for parent, (other, _) in parents[task.id].items())
            == sizes[array]
            for task in block
        )

    edges = [Edge("afterok" if is_hard(array) else "afterany", array) for array in arrays]
    return _Group(tuple(block), tuple(edges))
