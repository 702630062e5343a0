"""Will a study run here? Limits of the site, the cluster file against them, and a small job on a compute node."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitgraph.runtime.durable import make_folder
from traitgraph.runtime.store import Store
from traitgraph.specs.cluster import Cluster
from traitgraph.specs.jobs import JobTable

from . import scheduler
from .accounts import slurm_folder
from .launch import asked_resources, plan_arrays, source_folder
from .layout import TaskArray
from .limits import Limits, Partition, find_problems, read_limits
from .probe import REPAIRS, Findings, explain_exit, read_findings
from .record import PROBE
from .scheduler import SchedulerError
from .script import Site, job_name, probe_script

PROBE_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    repair: str = ""
    """What to do about it; empty when all is well."""

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'BAD'}  {self.name}: {self.found}" + (
            f"\n       = {self.repair}" if self.repair else ""
        )


def examine(
    store: Store, cluster: Cluster, table: JobTable, *, probe_seconds: float = PROBE_TIMEOUT
) -> Iterator[Check]:
    """Every check, as it is made, of a cluster file for the jobs of a study.

    Submits one job of a minute; it is cancelled when it does not start in time.
    """
    if not scheduler.is_available():
        yield Check("sbatch", False, "not on the PATH", "log in to a login node, or load the cluster's module")
        return
    try:
        limits = read_limits(cluster, asked_resources(table, cluster))
    except SchedulerError as error:
        yield Check("controller", False, str(error), "is the controller up? try: scontrol ping")
        return
    yield from check_limits(cluster, limits, plan_arrays(table, cluster, limits))
    with store:
        yield from check_node(store, cluster, probe_seconds)


def check_limits(cluster: Cluster, limits: Limits, arrays: Sequence[TaskArray]) -> Iterator[Check]:
    """What the site allows, and whether what these arrays ask for keeps to it."""
    yield Check("array size", True, f"indices up to {limits.array_size - 1:,}; longer arrays are split")
    most = "no limit is known" if limits.submitted is None else f"{limits.submitted:,} at once; more are refilled"
    yield Check("submitted jobs", True, most)
    if limits.running is not None:
        yield Check("running jobs", True, f"{limits.running:,} at once")
    repair = "" if limits.requeue else "tasks that reach their limit fail; use `retry`, or ask for JobRequeue=1"
    yield Check("requeue", limits.requeue, "allowed" if limits.requeue else "JobRequeue=0", repair)
    yield Check("preemption", True, limits.preempt_mode)
    yield Check("accounting", True, "sacct answers" if limits.accounting else "none; status reads files and the queue")
    for partition in _used(arrays, limits):
        yield Check(f"partition {partition.name}", partition.state == "up", _offer(partition))
    problems = find_problems(arrays, cluster, limits, os.environ)
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


def check_node(store: Store, cluster: Cluster, seconds: float) -> Iterator[Check]:
    """Run the probe on a compute node and say what it found."""
    python = cluster.python or sys.executable
    folder = make_folder(store.root / "runs" / f"doctor-{secrets.token_hex(4)}", store.root)
    try:
        make_folder(slurm_folder(folder) / "output", store.root)
        site = Site(folder, cluster, python, source_folder())
        script = folder / "probe.sh"
        script.write_text(probe_script(site, store.root, cluster.resources_of("", None, None)), encoding="utf-8")
        yield from _probe_checks(folder, store.root, python, job_name(site.id, PROBE), script, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _probe_checks(folder: Path, store: Path, python: str, name: str, script: Path, seconds: float) -> Iterator[Check]:
    try:
        job = scheduler.sbatch([str(script)])
        state = _outcome(name, seconds)
        if state is None:
            scheduler.cancel([job])
            yield Check(
                "compute node", False, f"the probe did not end within {seconds:g} s", "the queue is long: try later"
            )
            return
        code = scheduler.exit_code(job)
    except SchedulerError as error:
        yield Check("compute node", False, str(error), "sbatch refused the probe: repair the cluster file")
        return
    findings = read_findings(folder)
    if findings is None:
        yield Check(
            "compute node", False, explain_exit(code, store, python), REPAIRS.get(code, f"the job ended as {state}")
        )
        return
    yield from describe(findings)


def _outcome(name: str, seconds: float) -> str | None:
    """The state in which a job ended; None when it has not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        entry = next(iter(scheduler.queue([name])), None)
        if entry is None or not entry.is_active:
            return entry.state if entry else "UNKNOWN"
        time.sleep(0.5)
    return None


def describe(findings: Findings) -> Sequence[Check]:
    """The findings of a probe as checks."""
    where = f"on {findings.node}"
    missing = ", ".join(findings.missing)
    cache = f"{findings.hub_cache} {'is there' if findings.hub_cache_there else 'is not there yet'}"
    return (
        Check("interpreter", True, f"{findings.python} {where}"),
        Check(
            "libraries", not missing, f"{where}: {f'no {missing}' if missing else 'all there'}",
            "pip install 'traitgraph[run,slurm]' in the environment of the compute nodes" if missing else "",
        ),
        Check(
            "store", findings.store_writable, f"{'writable' if findings.store_writable else 'not writable'} {where}",
            "" if findings.store_writable else "give the store's folder the rights, or choose another one",
        ),
        Check(
            "room", findings.free_gb > 1, f"{findings.free_gb:,.1f} GiB in the store",
            "" if findings.free_gb > 1 else "make room, or choose another store",
        ),
        Check(
            "scontrol", not findings.scontrol, findings.scontrol or f"answers {where}",
            "tasks cannot requeue themselves at their limit: use `retry`" if findings.scontrol else "",
        ),
        Check("GPUs", True, f"{len(findings.gpus)} given {where}"),
        Check("hub cache", True, cache),
    )  # fmt: skip
