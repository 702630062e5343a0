"""The small files beside a run's job table by which submission, array tasks and `status` speak with each other.

    STORE/runs/RUN/slurm/arrays/<array>.json     what the tasks of an array need; written before it is submitted
    STORE/runs/RUN/slurm/accounts/<task>.json    what became of a task's last attempt; written by its array task
    STORE/runs/RUN/slurm/warnings/<attempt>      there once a node of an attempt on several nodes was warned

What is told of attempts are hints; the store is the truth. Fields that another version wrote are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from traitgraph.runtime.store.durable import write_json

AttemptState = Literal["running", "done", "failed", "requeued", "stopped"]


@dataclass(frozen=True)
class ArrayRecord:
    """What the tasks of one array need to know."""

    id: str
    tasks: Mapping[int, str]
    """Array index -> task id."""
    store: str
    minutes: int
    """Time limit. [minutes]"""
    signal_seconds: int
    """How long before the limit SLURM warns. [s]"""
    continuations: int
    """Times a task may be requeued at its limit."""
    nodes: int = 1
    processes: int = 1
    """Training processes on each node; more than one in all makes it a torchrun."""
    cores: int = 1
    """CPU cores of a task on each node."""
    scratch: str = ""
    kinds: tuple[str, ...] = ()
    """Kinds of job in its tasks."""

    @property
    def is_distributed(self) -> bool:
        """Whether several processes share one training."""
        return self.nodes * self.processes > 1


@dataclass(frozen=True)
class Attempt:
    """What became of the last attempt at a task."""

    task: str
    array: str
    job: str
    """Job id as SLURM prints it, '12_3' for an array task."""
    node: str
    state: AttemptState
    restarts: int = 0
    timeouts: int = 0
    """Times this job reached its time limit and went on."""
    started: float = 0.0
    """Seconds since the epoch on the node's clock; only differences within one attempt mean anything."""
    ended: float | None = None
    exit_code: int | None = None
    cause: str = ""
    message: str = ""

    @property
    def seconds(self) -> float | None:
        """Length of the attempt, None while it runs."""
        return None if self.ended is None else self.ended - self.started


def slurm_folder(run: Path) -> Path:
    """Where a run keeps what concerns SLURM alone."""
    return run / "slurm"


def array_path(run: Path, array: str) -> Path:
    """The record of one array."""
    return slurm_folder(run) / "arrays" / f"{array}.json"


def attempt_path(run: Path, task: str) -> Path:
    """What is told of the last attempt at a task; `accounts` is what runs on disk call the folder."""
    return slurm_folder(run) / "accounts" / f"{task}.json"


def warning_path(run: Path, task: str, job: str, restarts: int) -> Path:
    """The word from node to node that one of them was warned; the others may hear SLURM's signal later, or never."""
    return slurm_folder(run) / "warnings" / f"{task}.{job}.{restarts}"


def output_path(run: Path, array: str, index: int) -> Path:
    """What SLURM and the batch script printed before an array task took over; gone when that was nothing."""
    return slurm_folder(run) / "output" / f"{array}-{index}.log"


_ARRAY, _ATTEMPT = TypeAdapter(ArrayRecord), TypeAdapter(Attempt)


def write_record(path: Path, record: ArrayRecord | Attempt) -> None:
    """Put the record of an array or an attempt at its place."""
    write_json(path, asdict(record))


def read_array(path: Path) -> ArrayRecord:
    """The record of an array. Raises OSError or ValueError when it cannot be read."""
    return _ARRAY.validate_json(path.read_bytes())


def read_attempt(path: Path) -> Attempt | None:
    """The last attempt at a task, None when there is none that can be read."""
    try:
        return _ATTEMPT.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
