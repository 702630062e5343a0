"""The small files beside a run's job table by which submission, elements and `status` speak with each other.

    STORE/runs/RUN/slurm/arrays/<array>.json     what an array's elements need; written before it is submitted
    STORE/runs/RUN/slurm/accounts/<task>.json    what became of a task's last attempt; written by its element
    STORE/runs/RUN/slurm/warnings/<attempt>      there once a node of an attempt on several nodes was warned

Standard library only: every element reads this on its way up. Accounts are hints; the store is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, Self

AccountState = Literal["running", "done", "failed", "requeued", "stopped"]


@dataclass(frozen=True)
class ArrayRecord:
    """What the elements of one array need to know."""

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

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """The record of plain data; indices become numbers again."""
        known = _known(cls, data)
        tasks = known.pop("tasks")
        assert isinstance(tasks, Mapping), "written by as_json"
        return cls(tasks={int(index): str(task) for index, task in tasks.items()}, **known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Account:
    """What became of the last attempt at a task."""

    task: str
    array: str
    job: str
    """Job id as SLURM prints it, '12_3' for an element."""
    node: str
    state: AccountState
    restarts: int = 0
    timeouts: int = 0
    """Times this job reached its time limit and went on."""
    started: float = 0.0
    """Seconds since the epoch on the node's clock; only differences within one account mean anything."""
    ended: float | None = None
    exit_code: int | None = None
    cause: str = ""
    message: str = ""

    @property
    def seconds(self) -> float | None:
        """Length of the attempt, None while it runs."""
        return None if self.ended is None else self.ended - self.started

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def _known(cls: type[ArrayRecord] | type[Account], data: Mapping[str, object]) -> dict[str, object]:
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in data.items() if name in names}


def slurm_folder(run: Path) -> Path:
    """Where a run keeps what concerns SLURM alone."""
    return run / "slurm"


def array_path(run: Path, array: str) -> Path:
    """The record of one array."""
    return slurm_folder(run) / "arrays" / f"{array}.json"


def account_path(run: Path, task: str) -> Path:
    """The account of one task."""
    return slurm_folder(run) / "accounts" / f"{task}.json"


def warning_path(run: Path, task: str, job: str, restarts: int) -> Path:
    """The word from node to node that one of them was warned; the others may hear SLURM's signal later, or never."""
    return slurm_folder(run) / "warnings" / f"{task}.{job}.{restarts}"


def output_path(run: Path, array: str, index: int) -> Path:
    """What SLURM and the batch script printed before an element took over; gone when that was nothing."""
    return slurm_folder(run) / "output" / f"{array}-{index}.log"


def read_array(path: Path) -> ArrayRecord:
    """The record of an array. Raises OSError or ValueError when it cannot be read."""
    return ArrayRecord.from_json(json.loads(path.read_bytes()))


def read_account(path: Path) -> Account | None:
    """The account of a task, None when there is none that can be read."""
    try:
        return Account(**_known(Account, json.loads(path.read_bytes())))  # type: ignore[arg-type]  # written by as_json
    except (OSError, ValueError, TypeError):
        return None
