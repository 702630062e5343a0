"""One task in several processes under torchrun: rank 0 leads, the others join it in every job that it runs.

Rank 0 claims, publishes and reports as a lone process does. Before it calls a job function it announces the job; the
others call the same function on the same inputs, with a folder of their own that is thrown away. They speak through the
key-value store that torchrun keeps for its processes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from traitgraph.runtime.jobs.context import Stopped
from traitgraph.specs.jobs.params import JobRow

PATIENCE = timedelta(days=30)
"""Followers wait so long for the next job: rank 0 may wait for another run's artifact. torchrun ends them with it."""
SETTLE_SECONDS = 60.0
"""A process whose part of a job has ended waits so long for the others; after that they must be stuck in theirs."""
END = "end"


class KeyValues(Protocol):
    """The part of torch's store that is used here."""

    def set(self, key: str, value: str) -> None:
        """Put a value."""

    def get(self, key: str) -> bytes:
        """The value, waited for."""

    def wait(self, keys: list[str], timeout: timedelta) -> None:
        """Return when all keys are there; raise when they are not in time."""


def rank() -> int:
    """Number of this process among those that share the task; 0 for a lone one."""
    return int(os.environ.get("RANK", "0"))


def take_own_device() -> None:
    """Let this process see its own GPU only, before any library looks; then it need not know that there are others."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    if len(visible) > local:
        os.environ |= {"CUDA_VISIBLE_DEVICES": visible[local], "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def key_values() -> KeyValues:
    """The store that torchrun keeps for the processes of this task."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # exported from C

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=PATIENCE)
    return PrefixStore("traitgraph", store)


class Leader:
    """What rank 0 says to the others; one process alone says nothing."""

    def __init__(self, others: int, values: KeyValues) -> None:
        self._others = others
        self._values = values
        self._count = 0
        self.is_broken = False
        """Whether the others are stuck in a job that has ended here: only an end of all processes helps then."""

    def call(self, row: JobRow, function: Callable[[], None]) -> None:
        """Run a job together with the other processes; raises what went wrong here, else RuntimeError."""
        number = self._count
        self._count += 1
        self._values.set(f"job-{number}", row.key)
        try:
            function()
        except Exception as error:
            others = [reason for reason in self._settle(number) if reason != reason_of(error)]
            if not others:
                raise
            # Often the other process failed first, and this one lost its connection to it.
            raise RuntimeError("; ".join([reason_of(error), *others])) from error
        reasons = self._settle(number)
        if self.is_broken:
            raise RuntimeError(f"the other processes did not end this job within {SETTLE_SECONDS:g} s")
        if reasons:
            raise RuntimeError("; ".join(reasons))

    def end(self) -> None:
        """Tell the others that the task is over."""
        self._values.set(f"job-{self._count}", END)

    def _settle(self, number: int) -> list[str]:
        """Wait for the end of the others' parts; why some of them failed."""
        ended = [f"ended-{number}-{other}" for other in range(1, self._others + 1)]
        try:
            self._values.wait(ended, timedelta(seconds=SETTLE_SECONDS))
        except Exception:  # a time-out, which torch names differently from version to version
            self.is_broken = True
            return []
        self._values.set(f"settled-{number}", "")
        return [reason for reason in (self._values.get(key).decode() for key in ended) if reason]


def reason_of(error: Exception) -> str:
    """What went wrong, in one line or more."""
    return f"{type(error).__name__}: {error}"


def follow(
    rows: Mapping[str, JobRow],
    call: Callable[[JobRow, Path], None],
    record: Callable[[JobRow, Exception], object],
    values: KeyValues,
) -> int:
    """Join rank 0 in every job until it ends; the exit code.

    `call` runs one job with a folder to throw away. Rank 0 records failures; when this process alone fails, rank 0 is
    left waiting for it, so `record` notes it here. Raises Stopped then: torchrun ends all processes with this one.
    """
    number = 0
    while True:
        values.wait([f"job-{number}"], PATIENCE)
        key = values.get(f"job-{number}").decode()
        if key == END:
            return 0
        error: Exception | None = None
        with tempfile.TemporaryDirectory(prefix="traitgraph-rank-", ignore_cleanup_errors=True) as folder:
            try:
                call(rows[key], Path(folder))
            except Exception as problem:  # the boundary: what a job raises must not stop other jobs
                traceback.print_exc(file=sys.stderr)
                error = problem
        values.set(f"ended-{number}-{rank()}", reason_of(error) if error else "")
        try:
            values.wait([f"settled-{number}"], timedelta(seconds=SETTLE_SECONDS) if error else PATIENCE)
        except Exception:
            if error is None:
                raise
            record(rows[key], error)
            raise Stopped("rank 0 did not end the job that failed here") from error
        number += 1
