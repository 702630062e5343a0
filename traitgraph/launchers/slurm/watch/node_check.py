"""What a compute node of each partition says about a study: one probe for each, and its findings as checks."""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.layout.script import Site, job_name, probe_script
from traitgraph.launchers.slurm.node.probe import (
    REPAIRS,
    Findings,
    Questions,
    explain_exit,
    left_exit,
    questions_path,
    read_findings,
)
from traitgraph.launchers.slurm.record.attempts import slurm_folder
from traitgraph.launchers.slurm.record.record import PROBE
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.scheduler import QueueEntry, SchedulerError
from traitgraph.launchers.slurm.submit.launch import source_folder
from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster, Resources

from .run_status import meaning_of


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


@dataclass(frozen=True, slots=True)
class _Probe:
    """A probe that was submitted."""

    where: str
    """The partition in words."""
    folder: Path
    questions: Questions
    job: str


def check_nodes(
    store: Store, cluster: Cluster, arrays: Sequence[TaskArray], table: JobTable, seconds: float
) -> Iterator[Check]:
    """Run a probe in every partition that a study uses, side by side, and say what each found within `seconds`."""
    python = cluster.python or sys.executable
    deadline = time.monotonic() + seconds
    folders: list[Path] = []
    try:
        probes: list[_Probe] = []
        for partition, asked in _largest_by_partition(arrays).items():
            where = f"partition {partition}" if partition else "the default partition"
            folders.append(make_folder(store.root / "runs" / f"doctor-{secrets.token_hex(4)}", store.root))
            try:
                probes.append(_submit(store, cluster, python, where, folders[-1], _questions(asked, table), asked))
            except SchedulerError as error:
                refused = "sbatch refused the probe: repair the cluster file"
                yield Check("compute node", False, f"{where}: {error}", refused)
        for probe in probes:
            yield from _answers(probe, store.root, python, deadline, seconds)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _largest_by_partition(arrays: Sequence[TaskArray]) -> Mapping[str, Resources]:
    """For each partition what the most demanding of its arrays asks for: GPUs first."""
    found: dict[str, Resources] = {}
    for asked in sorted((a.resources for a in arrays), key=lambda each: (each.gpus or 0, each.memory_gb or 0)):
        found[asked.partition or ""] = asked
    return found


def _questions(asked: Resources, table: JobTable) -> Questions:
    files = (str(place) for place in table.locations.values() if Path(str(place)).is_absolute())
    return Questions(gpus=asked.gpus or 0, models=hub_models(table), files=tuple(sorted(set(files))))


def hub_models(table: JobTable) -> tuple[tuple[str, str], ...]:
    """(id, revision) of the models of the hub that jobs load, experts and judges among them."""
    return tuple(dict.fromkeys(pair for row in table.rows for pair in _hub_models(row.params)))


def _hub_models(params: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for value in params.values():
        if isinstance(value, Mapping) and value.get("kind") == "hub" and "split" not in value:  # data have one
            yield str(value["id"]), str(value["revision"])
        elif isinstance(value, Mapping):
            yield from _hub_models(value)


def _submit(
    store: Store, cluster: Cluster, python: str, where: str, folder: Path, questions: Questions, asked: Resources
) -> _Probe:
    make_folder(slurm_folder(folder) / "output", store.root)
    write_json(questions_path(folder), questions.model_dump(mode="json"))
    script = folder / "probe.sh"
    text = probe_script(Site(folder, cluster, python, source_folder()), store.root, asked)
    script.write_text(text, encoding="utf-8")
    return _Probe(where, folder, questions, scheduler.sbatch([str(script)]))


def _answers(probe: _Probe, store: Path, python: str, deadline: float, seconds: float) -> Iterator[Check]:
    try:
        entry = _at_the_end(job_name(probe.folder.name, PROBE), deadline)
        if entry is not None and entry.is_active:
            scheduler.cancel([probe.job])
            found = f"{probe.where}: the probe did not end within {seconds:g} s"
            why = f" ({meaning_of(entry.reason)})" if entry.state == "PENDING" else ""
            yield Check("compute node", False, found + why, "nothing is known yet; --timeout SECONDS waits longer")
            return
    except SchedulerError as error:
        yield Check("compute node", False, f"{probe.where}: {error}", "is the controller up? try: scontrol ping")
        return
    findings = read_findings(probe.folder)
    if findings is not None:
        yield from describe(findings, probe.questions, probe.where)
        return
    code = left_exit(probe.folder)
    code = scheduler.exit_code(probe.job) if code is None else code
    found = f"{probe.where}: {explain_exit(code, store, python)}"
    yield Check("compute node", False, found, REPAIRS.get(code, f"the job ended as {entry.state if entry else '?'}"))


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
            "pip install 'traitgraph[run,slurm]' in the environment of the compute nodes" if missing else "",
        ),
        Check(
            "store", findings.store_writable, f"{'writable' if findings.store_writable else 'not writable'} {node}",
            "" if findings.store_writable else "give the store's folder the rights, or choose another one",
        ),
        Check(
            "room", findings.free_gb > 1, f"{findings.free_gb:,.1f} GiB in the store",
            "" if findings.free_gb > 1 else "make room, or choose another store",
        ),
        Check(
            "scontrol", not findings.scontrol, findings.scontrol or f"answers {node}",
            "tasks cannot requeue themselves at their limit: use `retry`" if findings.scontrol else "",
        ),
        Check(
            "files", not unseen, f"{node}: {f'no {unseen}' if unseen else 'all that the study names are there'}",
            "put them on a file system that all nodes share" if unseen else "",
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
