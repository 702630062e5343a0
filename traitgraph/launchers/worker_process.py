"""The command and the environment of a worker process: the same on this machine and on a cluster's node."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import traitgraph
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.jobs.refs import ResolvedJudge
from traitgraph.specs.study.job_kinds import is_training

DEFAULTS: dict[str, str] = {
    "PYTHONHASHSEED": "0",  # sets of strings iterate in one order: equal seeds give equal files
    "PYTHONFAULTHANDLER": "1",  # a crash in C code leaves the Python stack in the log
    "TOKENIZERS_PARALLELISM": "false",  # its threads and the forks of data loaders do not mix
    "TQDM_DISABLE": "1",  # progress is ours to show
    "LMEVAL_LOG_LEVEL": "ERROR",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS gives equal results in equal runs
}
"""Set unless the user's environment says otherwise."""


def worker_command(table: Path, task: str, store: Path, python: str = sys.executable) -> list[str]:
    """The command line that runs one task; modules of the current folder cannot shadow libraries (`-P`)."""
    return [python, "-P", "-m", "traitgraph.runtime.worker.task", str(table), task, "--store", str(store)]


def worker_environment(base: Mapping[str, str], kinds: Collection[str], cores: int | None = None) -> dict[str, str]:
    """`base` with the defaults of a worker; whatever the user set himself stays.

    Threads of training wait passively: the autograd thread and the main thread bring an OpenMP team each, and two
    spinning teams on one set of cores make training 2.4 times slower. Other threads spin some 30 times shorter than
    libgomp lets them: as fast on an idle machine (142 against 140 ms a pass of 135 M; passively 199), and two to five
    times faster where other programs want the same cores.
    """
    environment = {**DEFAULTS, **base}
    if not base.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        training = any(map(is_training, kinds))
        environment |= {"OMP_WAIT_POLICY": "PASSIVE"} if training else {"GOMP_SPINCOUNT": "10000"}
    if cores is not None:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores)))
    if source := source_folder():
        paths = [path for path in (base.get("PYTHONPATH"), source) if path]
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return environment


def source_folder() -> str:
    """Where other processes find this package when it runs from a checkout; empty when it is installed."""
    folder = str(Path(traitgraph.__file__).resolve().parents[1])
    return "" if folder in (*site.getsitepackages(), site.getusersitepackages()) else folder


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unset_keys(table: JobTable, variables: Mapping[str, str]) -> list[str]:
    """Names of the variables that hold keys of judges of the table's jobs and are not set, in order."""
    benchmarks: list[Any] = [row.params.get("benchmark") or {} for row in table.rows if row.kind == "assess"]
    judges = [judge for each in benchmarks if (judge := each.get("judge")) and judge["kind"] == "api"]
    places = {ResolvedJudge.model_validate(judge).key_name for judge in judges}
    names = {table.locations[place].partition(":")[2] for place in places if place in table.locations}
    return sorted(name for name in names if not variables.get(name, "").strip())
