"""Will a study run here? Limits of the site, the cluster file against them, and a small job in each partition."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.layout.script import Site, job_name, probe_script
from traitgraph.launchers.slurm.node.probe import Findings, Questions, questions_path, read_findings
from traitgraph.launchers.slurm.record.attempts import slurm_folder
from traitgraph.launchers.slurm.record.record import PROBE, site_of
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Limits, Partition, read_limits
from traitgraph.launchers.slurm.site.scheduler import QueueEntry, SchedulerError
from traitgraph.launchers.slurm.submit.launch import asked_resources, plan_arrays
from traitgraph.launchers.slurm.submit.probe_state import known_problem, read_exit_code
from traitgraph.launchers.slurm.submit.problems import Problem, find_problems
from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster, Resources

from .run_status import meaning_of

PROBE_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    repair: str = ""
    """What to do about it when it is not ok."""

    def __str__(self) -> str:
        repair = f"\n       = {self.repair}" if self.repair and not self.ok else ""
        return f"{'ok ' if self.ok else 'BAD'}  {self.name}: {self.found}{repair}"


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
    named = {name for array in arrays for name in (array.resources.partition or "").split(",") if name}
    for partition in limits.partitions.values():
        if partition.name in named or (not named and partition.is_default):
            yield Check(f"partition {partition.name}", partition.state == "up", _offer(partition))
    problems = find_problems(arrays, table, cluster, limits, os.environ)
    for problem in problems:
        yield Check("cluster file", False, problem.what, problem.hint)
    if not problems:
        names = ", ".join(sorted({array.resources.partition or "the default partition" for array in arrays}))
        yield Check("cluster file", True, f"fits {names}")


def _offer(partition: Partition) -> str:
    limit = "no time limit" if partition.minutes is None else f"at most {partition.minutes:g} minutes"
    shapes = dict.fromkeys(
        f"{shape.cpus} cores, {shape.memory_gb:.0f} GiB, {shape.gpus} GPUs {'/'.join(shape.gpu_types)}".rstrip()
        for shape in partition.shapes
    )
    return f"{partition.state}, {limit}; nodes of {'; '.join(shapes)}"


# ---------------------------------------------------------------- what compute nodes say


@dataclass(frozen=True, slots=True)
class _Probe:
    """A probe that was submitted."""

    where: str
    """The partition in words."""
    site: Site
    questions: Questions
    job: str


def check_nodes(
    store: Store, cluster: Cluster, arrays: Sequence[TaskArray], table: JobTable, seconds: float
) -> Iterator[Check]:
    """Run a probe in every partition that a study uses, side by side, and say what each found within `seconds`."""
    deadline = time.monotonic() + seconds
    by_demand = sorted((a.resources for a in arrays), key=lambda each: (each.gpus or 0, each.memory_gb or 0))
    largest = {asked.partition or "": asked for asked in by_demand}  # of each partition: a later one takes its place
    folders: list[Path] = []
    try:
        probes: list[_Probe] = []
        for partition, asked in largest.items():
            where = f"partition {partition}" if partition else "the default partition"
            folders.append(make_folder(store.root / "runs" / f"doctor-{secrets.token_hex(4)}", store.root))
            try:
                probes.append(_submit_probe(store, site_of(folders[-1], cluster), where, asked, table))
            except SchedulerError as error:
                refused = "sbatch refused the probe: repair the cluster file"
                yield Check("compute node", False, f"{where}: {error}", refused)
        for probe in probes:
            yield from _answers(probe, store.root, deadline, seconds)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _submit_probe(store: Store, site: Site, where: str, asked: Resources, table: JobTable) -> _Probe:
    files = {str(place) for place in table.locations.values() if Path(str(place)).is_absolute()}
    questions = Questions(gpus=asked.gpus or 0, models=hub_models(table), files=tuple(sorted(files)))
    make_folder(slurm_folder(site.run) / "output", store.root)
    write_json(questions_path(site.run), questions.model_dump(mode="json"))
    script = site.run / "probe.sh"
    script.write_text(probe_script(site, store.root, asked), encoding="utf-8")
    return _Probe(where, site, questions, scheduler.sbatch([str(script)]))


def hub_models(table: JobTable) -> tuple[tuple[str, str], ...]:
    """(id, revision) of the models of the hub that jobs load, experts and judges among them."""
    return tuple(dict.fromkeys(pair for row in table.rows for pair in _hub_models(row.params)))


def _hub_models(params: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for value in params.values():
        if isinstance(value, Mapping) and value.get("kind") == "hub" and "split" not in value:  # data have one
            yield str(value["id"]), str(value["revision"])
        elif isinstance(value, Mapping):
            yield from _hub_models(value)


def _answers(probe: _Probe, store: Path, deadline: float, seconds: float) -> Iterator[Check]:
    try:
        entry = _at_the_end(job_name(probe.site.id, PROBE), deadline)
        if entry is not None and entry.is_active:
            scheduler.cancel([probe.job])
            found = f"{probe.where}: the probe did not end within {seconds:g} s"
            why = f" ({meaning_of(entry.reason)})" if entry.state == "PENDING" else ""
            yield Check("compute node", False, found + why, "nothing is known yet; --timeout SECONDS waits longer")
            return
    except SchedulerError as error:
        yield Check("compute node", False, f"{probe.where}: {error}", "is the controller up? try: scontrol ping")
        return
    findings = read_findings(probe.site.run)
    if findings is not None:
        yield from describe(findings, probe.questions, probe.where)
        return
    code = read_exit_code(probe.site.run, probe.job)
    unknown = Problem(f"the probe ended with exit code {code}", f"the job ended as {entry.state if entry else '?'}")
    problem = known_problem(code, store, probe.site.python) or unknown
    yield Check("compute node", False, f"{probe.where}: {problem.what}", problem.hint)


def _at_the_end(name: str, deadline: float) -> QueueEntry | None:
    """A job when it has ended or the time is up; None when SLURM has forgotten it."""
    while True:
        entry = next(iter(scheduler.queue([name])), None)
        if entry is None or not entry.is_active or time.monotonic() >= deadline:
            return entry
        time.sleep(0.5)


def describe(findings: Findings, questions: Questions, where: str) -> Sequence[Check]:
    """The findings of a probe as checks."""
    node = f"on {findings.node}"
    missing, unseen = ", ".join(findings.missing), ", ".join(findings.files_missing)
    return (
        Check("interpreter", True, f"{findings.python} {node}, {where}"),
        Check(
            "libraries", not missing, f"{node}: {f'no {missing}' if missing else 'all there'}",
            "pip install 'traitgraph[run,slurm]' in the environment of the compute nodes",
        ),
        Check(
            "store", findings.store_writable, f"{'writable' if findings.store_writable else 'not writable'} {node}",
            "give the store's folder the rights, or choose another one",
        ),
        Check(
            "room", findings.free_gb > 1, f"{findings.free_gb:,.1f} GiB in the store",
            "make room, or choose another store",
        ),
        Check(
            "scontrol", not findings.scontrol, findings.scontrol or f"answers {node}",
            "tasks cannot requeue themselves at their limit: use `retry`",
        ),
        Check(
            "files", not unseen, f"{node}: {f'no {unseen}' if unseen else 'all that the study names are there'}",
            "put them on a file system that all nodes share",
        ),
        gpu_check(findings, questions.gpus),
        hub_check(findings, questions.models),
    )  # fmt: skip


def gpu_check(findings: Findings, asked: int) -> Check:
    """Whether torch can use the GPUs that a task asks for."""
    if not asked:
        return Check("GPUs", True, "none is asked for")
    found = f"{asked} asked for, {len(findings.gpus)} given on {findings.node}, torch sees {findings.gpus_seen}"
    if findings.gpus_seen >= asked:
        return Check("GPUs", True, found)
    if len(findings.gpus) < asked:
        repair = "does the partition have GPUs? is `gpu_request` (gres, gpus-per-node) what this site takes?"
    elif findings.torch_for_gpus:
        repair = f"torch is built for {findings.torch_for_gpus}: is the driver of the node older? try: nvidia-smi"
    else:
        repair = "torch is built without CUDA: install one with it in the environment of the compute nodes"
    return Check("GPUs", False, found, repair)


def hub_check(findings: Findings, models: Sequence[tuple[str, str]]) -> Check:
    """Whether a task will find its models of the hub: in the cache of the node, or over the network."""
    if not models:
        return Check("hub cache", True, "no model of the hub is needed")
    where = f"{findings.hub_cache} on {findings.node}"
    absent = [(name, revision) for name, revision in models if name in findings.models_missing]
    if not absent:
        return Check("hub cache", True, f"{where} holds {', '.join(name for name, _ in models)}")
    found = f"no {', '.join(name for name, _ in absent)} in {where}"
    if findings.hub_answers:
        return Check("hub cache", True, f"{found}; it will be downloaded, for the hub answers there")
    calls = "; ".join(f"hf download {name} --revision {revision}" for name, revision in absent)
    hint = "into a cache that all nodes see (HF_HOME, exported in `setup`)"
    return Check("hub cache", False, f"{found}, and the hub does not answer there", f"where it does: {calls}, {hint}")
