"""Will a study run here? Limits of the site, the cluster file against them, and a small job in each partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Limits, Partition, read_limits
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.launchers.slurm.submit.launch import asked_resources, plan_arrays, problems_of
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster

from .node_check import Check, check_nodes

PROBE_TIMEOUT = 120.0


def examine(
    store: Store, cluster: Cluster, table: JobTable, *, probe_seconds: float = PROBE_TIMEOUT
) -> Iterator[Check]:
    """Every check, as it is made, of a cluster file for the jobs of a study.

    Submits a small job for each partition; one that does not end within `probe_seconds` is cancelled.
    """
    if not scheduler.is_available():
        yield Check("sbatch", False, "not on the PATH", "log in to a login node, or load the cluster's module")
        return
    try:
        limits = read_limits(cluster, asked_resources(table, cluster))
    except SchedulerError as error:
        yield Check("controller", False, str(error), "is the controller up? try: scontrol ping")
        return
    arrays = plan_arrays(table, cluster, limits)
    yield from check_limits(cluster, limits, arrays, table)
    with store:
        yield from check_nodes(store, cluster, arrays, table, probe_seconds)


def check_limits(cluster: Cluster, limits: Limits, arrays: Sequence[TaskArray], table: JobTable) -> Iterator[Check]:
    """What the site allows, and whether what these arrays ask for keeps to it."""
    yield Check("array size", True, f"indices up to {limits.array_size - 1:,}; longer arrays are split")
    most = "no limit is known" if limits.submitted is None else f"{limits.submitted:,} at once; more are refilled"
    yield Check("submitted jobs", True, most)
    if limits.running is not None:
        yield Check("running jobs", True, f"{limits.running:,} at once")
    for wall in dict.fromkeys(limits.walls.values()):
        yield Check("time limit", True, f"at most {wall.minutes:g} minutes by {wall.source}")
    yield Check("requeue", True, "allowed" if limits.requeue else "JobRequeue=0; our jobs ask for it, and get it")
    yield Check("preemption", True, limits.preempt_mode)
    yield Check("accounting", True, "sacct answers" if limits.accounting else "none; status reads files and the queue")
    for partition in _used(arrays, limits):
        yield Check(f"partition {partition.name}", partition.state == "up", _offer(partition))
    problems = problems_of(arrays, table, cluster, limits)
    for problem in problems:
        yield Check("cluster file", False, problem.what, problem.hint)
    if not problems:
        names = ", ".join(sorted({array.resources.partition or "the default partition" for array in arrays}))
        yield Check("cluster file", True, f"fits {names}")


def _used(arrays: Sequence[TaskArray], limits: Limits) -> list[Partition]:
    """The partitions that these arrays name, or the default one."""
    named = {name for array in arrays for name in (array.resources.partition or "").split(",") if name}
    return [each for each in limits.partitions.values() if each.name in named or (not named and each.is_default)]


def _offer(partition: Partition) -> str:
    limit = "no time limit" if partition.minutes is None else f"at most {partition.minutes:g} minutes"
    shapes = dict.fromkeys(
        f"{shape.cpus} cores, {shape.memory_gb:.0f} GiB, {shape.gpus} GPUs {'/'.join(shape.gpu_types)}".rstrip()
        for shape in partition.shapes
    )
    return f"{partition.state}, {limit}; nodes of {'; '.join(shapes)}"
