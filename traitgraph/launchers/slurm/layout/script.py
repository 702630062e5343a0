"""The text that reaches SLURM: one batch script per array and the options that name its tasks and its edges.

Pure functions; their texts are golden files. What is known only at submission (job ids, indices) stands on the command
line of sbatch, so a script never changes once it is written.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from traitgraph.specs.study.cluster import Cluster, Resources

from .layout import TaskArray

ARRAY_TASK = "traitgraph.launchers.slurm.node.array_task"
CONTINUATION = "traitgraph.launchers.slurm.submit.submit"
PROBE = "traitgraph.launchers.slurm.node.probe"

STORE_UNSEEN, NO_INTERPRETER = 73, 74
"""Exit codes of the probe that no program in it uses for anything else."""

SMALL = Resources(nodes=1, gpus=0, cpus=1, memory_gb=1, minutes=30)
"""What a continuation asks for, beside the site's partition and account."""

PROBE_MINUTES = 5
"""Time limit of a probe, which works for seconds and otherwise asks for what a task does. [minutes]"""


@dataclass(frozen=True, slots=True)
class Site:
    """What all scripts of one run share."""

    run: Path
    """The run's folder as the compute nodes see it."""
    cluster: Cluster
    python: str
    source: str = ""
    """Folder of the traitgraph package where it is no installed one; compute nodes import it from there."""

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.run.name

    @property
    def interpreter(self) -> str:
        """The interpreter's command line, inside the container where there is one."""
        return shlex.join([*self.cluster.prefix, self.python, "-P"])

    @property
    def setup(self) -> list[str]:
        """Shell lines that come before every task."""
        path = f"export PYTHONPATH={shlex.quote(self.source)}${{PYTHONPATH:+:$PYTHONPATH}}"
        return [*([path] if self.source else []), *self.cluster.setup]


def job_name(run: str, array: str) -> str:
    """Name of an array's job: carries run and stage, so that squeue alone can tell what is submitted."""
    return f"{run}.{array}"


def array_script(array: TaskArray, site: Site) -> str:
    """The batch script that each task of an array runs."""
    nodes = array.resources.nodes or 1
    command = f"{site.interpreter} -m {ARRAY_TASK} {shlex.quote(str(site.run))} {shlex.quote(array.id)}"
    if nodes > 1:  # one array task on each node; the first speaks for all
        cores = array.resources.cpus or 1  # srun does not take it from sbatch
        shape = f"--nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={cores}"
        command = f"srun {shape} --kill-on-bad-exit=1 {command}"
    warned = "" if nodes > 1 else "B:"  # the batch shell becomes the array task; srun passes signals to its steps
    options = {
        "output": f"{_literal(site.run)}/slurm/output/{array.id}-%a.log",
        **_resource_options(array.resources, site.cluster),
        "signal": f"{warned}USR2@{site.cluster.signal_seconds}",
        "requeue": "",
        **site.cluster.options,
    }
    title = f"run {site.id}: {array.id}, {len(array.tasks)} task{'s' * (len(array.tasks) != 1)}"
    return _script(title, job_name(site.id, array.id), options, [*site.setup, f"exec {command}"])


def continuation_script(site: Site) -> str:
    """The batch script of the small job that submits what did not fit under the site's limit."""
    small = site.cluster.resources_of("continue", None, None)
    site_fields = {"partition": small.partition, "account": small.account, "qos": small.qos}
    no_memory = {} if small.memory_gb is not None else {"memory_gb": None}
    asked = SMALL.model_copy(update={**site_fields, **no_memory})
    options = {
        "output": f"{_literal(site.run)}/slurm/output/continuation-%j.log",
        **_resource_options(asked, site.cluster),
        "requeue": "",
        **site.cluster.options,
    }
    command = f"exec {site.interpreter} -m {CONTINUATION} {shlex.quote(str(site.run))}"
    title = f"run {site.id}: submit what did not fit before"
    return _script(title, job_name(site.id, "continue"), options, [*site.setup, command])


def probe_script(site: Site, store: Path, asked: Resources) -> str:
    """The batch script that finds out whether tasks can run on a compute node at all.

    Its exit code is its message, because a node that does not see the store cannot write one there; one that does
    keeps it there as well, because SLURM forgets it within minutes.
    """
    run = shlex.quote(str(site.run))
    word = shlex.quote((*site.cluster.prefix, site.python)[0])
    short = asked.model_copy(update={"nodes": 1, "minutes": PROBE_MINUTES})
    options = {"output": "/dev/null", **_resource_options(short, site.cluster), **site.cluster.options}
    lines = [
        *site.setup,
        f"test -d {run} || exit {STORE_UNSEEN}",
        f"exec > {run}/slurm/output/probe.log 2>&1",
        f"leave_code() {{ echo $? > {run}/slurm/probe.exit; }}",
        "trap leave_code EXIT",
        f"command -v {word} > /dev/null || exit {NO_INTERPRETER}",
        f"{site.interpreter} -m {PROBE} {run} {shlex.quote(str(store))}",
    ]
    return _script(f"run {site.id}: can tasks run here?", job_name(site.id, "probe"), options, lines)


def _literal(path: Path) -> str:
    """A path in which sbatch takes no character for a pattern such as %j."""
    return str(path).replace("%", "%%")


def _script(title: str, name: str, options: Mapping[str, str], lines: Sequence[str]) -> str:
    head = [
        "#!/bin/bash",
        f"# traitgraph, {title}",
        f"#SBATCH --job-name={shlex.quote(name)}",
        *(f"#SBATCH --{option}{f'={shlex.quote(value)}' if value else ''}" for option, value in options.items()),
        "#SBATCH --open-mode=append",
        "#SBATCH --kill-on-invalid-dep=yes",
        "",
        "trap '' USR2  # python takes it once it is up; a warning while the environment loads must not kill the task",
        "export SUBMITIT_EXECUTOR=slurm",
    ]
    return "\n".join([*head, *lines]) + "\n"


def _resource_options(asked: Resources, cluster: Cluster) -> dict[str, str]:
    """Options of sbatch by long name, in the order of the script."""
    memory = None if asked.memory_gb is None else "0"  # all of a node's
    if asked.memory_gb:
        memory = f"{max(1, round(asked.memory_gb * 1024))}M"  # sbatch takes whole mebibytes
    gpus = f"{asked.gpu_type}:{asked.gpus}" if asked.gpu_type else str(asked.gpus)
    gpu_option = ("gres", f"gpu:{gpus}") if cluster.gpu_request == "gres" else ("gpus-per-node", gpus)
    options = {
        "partition": asked.partition,
        "account": asked.account,
        "qos": asked.qos,
        "constraint": asked.constraint,
        "nodes": str(asked.nodes or 1),
        "ntasks-per-node": "1",
        "cpus-per-task": str(asked.cpus or 1),
        "mem": memory,
        **dict([gpu_option] if asked.gpus else []),
        "time": str(asked.minutes) if asked.minutes else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def index_ranges(indices: Iterable[int]) -> str:
    """Indices as sbatch takes them.

    >>> index_ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    groups = groupby(enumerate(sorted(indices)), key=lambda each: each[1] - each[0])  # equal as long as they follow
    ranges = [[index for _, index in group] for _, group in groups]
    return ",".join(f"{each[0]}-{each[-1]}" if len(each) > 1 else str(each[0]) for each in ranges)


def array_option(indices: Iterable[int], throttle: int | None) -> str:
    """The option that names array tasks and how many may run at once."""
    return f"--array={index_ranges(indices)}" + (f"%{throttle}" if throttle else "")
