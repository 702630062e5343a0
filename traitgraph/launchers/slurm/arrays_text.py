"""The arrays that a plan would become on a cluster, as a table: what each element asks for."""

from __future__ import annotations

from traitgraph.compiler.print_plan import aligned
from traitgraph.specs.cluster import Cluster, Resources
from traitgraph.specs.jobs import JobTable

from .export import offline_limits
from .launch import plan_arrays


def arrays_text(table: JobTable, cluster: Cluster) -> str:
    """One line for each array. Asks no controller: limits are the cluster file's, else SLURM's own defaults."""
    rows: list[tuple[str, ...]] = [("arrays", "elements", "nodes", "gpus", "cpus", "memory", "time limit", "partition")]
    for array in plan_arrays(table, cluster, offline_limits(cluster)):
        rows.append((array.id, f"{len(array.tasks):,}", *_asked(array.resources)))
    return "\n".join(aligned(rows)) + "\n"


def _asked(resources: Resources) -> tuple[str, ...]:
    memory = "node" if resources.memory_gb == 0 else f"{resources.memory_gb:g} GiB" if resources.memory_gb else "-"
    time = f"{resources.minutes} min" if resources.minutes else "-"
    counts = (resources.nodes or 1, resources.gpus or 0, resources.cpus or 1)
    return (*map(str, counts), memory, time, resources.partition or "-")
