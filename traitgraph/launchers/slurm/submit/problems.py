"""Everything about the arrays of a run that a site cannot give, told before anything is submitted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.site.limits import Limits, Partition, Problem
from traitgraph.launchers.slurm.site.quotas import FEWEST, place_of
from traitgraph.specs.study.cluster import Cluster, Resources


def find_problems(
    arrays: Sequence[TaskArray], cluster: Cluster, limits: Limits, variables: Mapping[str, str]
) -> list[Problem]:
    """Everything about these arrays that the site cannot give, each fault once."""
    found = [problem for array in arrays for problem in _array_problems(array, limits)]
    found += _too_few_places(sum(len(array.tasks) for array in arrays), limits)
    found += [
        Problem(f"tasks need the variable {name}, which is not set here", f"export {name}=... before submitting")
        for name in cluster.environment
        if name not in variables
    ]
    return list(dict.fromkeys(found))


def _too_few_places(tasks: int, limits: Limits) -> list[Problem]:
    """The fault of a limit on jobs in the queue under which a run of so many tasks can never come to its end."""
    most = limits.submitted
    if most is None or tasks <= most or most >= FEWEST:
        return []
    what = f"{tasks:,} tasks do not fit into the queue at once ({most} by {limits.submitted_source}), and refilling it"
    return [Problem(f"{what} takes {FEWEST} places", "choose another `qos` or `partition`")]


def _array_problems(array: TaskArray, limits: Limits) -> Iterator[Problem]:
    asked = array.resources
    names = limits.partitions_of(asked)
    known = [limits.partitions[name] for name in names if name in limits.partitions]
    for name in names:
        if name not in limits.partitions:
            yield _unknown_partition(name, limits.partitions)
    for partition in known:
        yield from _partition_problems(asked, partition)
    wall = limits.walls.get(place_of(asked))
    if wall and asked.minutes and asked.minutes > wall.minutes:  # SLURM would take such a task and never start it
        yield _too_long(asked.minutes, wall.source, wall.minutes)


def _unknown_partition(name: str, known: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(name, list(known), n=2)
    hint = f"near: {', '.join(near)}" if near else ""
    return Problem(
        f"partition '{name}' does not exist on this cluster", hint or f"partitions: {', '.join(sorted(known))}"
    )


def _too_long(minutes: int, who: str, most: float) -> Problem:
    what = f"{minutes} minutes are above the limit of {who}, {most:g} minutes"
    return Problem(what, "lower `minutes`; work goes on from its checkpoint after each limit")


def _partition_problems(asked: Resources, partition: Partition) -> Iterator[Problem]:
    where = f"partition '{partition.name}'"
    if partition.state != "up":
        yield Problem(f"{where} is {partition.state}", "wait, or choose another `partition`")
    if asked.minutes and partition.minutes is not None and asked.minutes > partition.minutes:
        yield _too_long(asked.minutes, where, partition.minutes)
    if fitting := sum(shape.count for shape in partition.shapes if shape.fits(asked)):
        nodes = min(fitting, partition.most_nodes or fitting)
        if (asked.nodes or 1) > nodes:
            yield Problem(f"{asked.nodes} such nodes are more than {where} gives to one task, {nodes}", "lower `nodes`")
        return
    for field_name, value, limits, unit in (
        ("gpus", asked.gpus or 0, [shape.gpus for shape in partition.shapes], "GPUs"),
        ("cpus", asked.cpus or 0, [shape.cpus for shape in partition.shapes], "CPU cores"),
        ("memory_gb", asked.memory_gb or 0, [round(s.memory_gb, 1) for s in partition.shapes], "GiB of memory"),
    ):
        limit = max(limits, default=0)
        if value > limit:
            what = f"{value:g} {unit} on one node are more than a node of {where} has, {limit:g}"
            yield Problem(what, f"lower `{field_name}`, or choose another `partition`")
    types = sorted({name for shape in partition.shapes for name in shape.gpu_types})
    if asked.gpus and asked.gpu_type and asked.gpu_type not in types:
        yield Problem(f"no node of {where} has GPUs of type '{asked.gpu_type}'", f"types: {', '.join(types) or 'none'}")
