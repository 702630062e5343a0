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

from traitgraph.specs.jobs import JobRow

from .context import Stopped

PATIENCE = timedelta(days=30)
"""Followers wait so long for the next job: rank 0 may wait for another run's artifact. torchrun ends them with it."""
SETTLE_SECONDS = 60.0
"""After a job of its own has ended, rank 0 waits so long for the others; longer means that they are stuck in it."""
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


def world_size() -> int:
    """How many processes share the task."""
    return int(os.environ.get("WORLD_SIZE", "1"))


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

    def call(self, row: JobRow, function: Callable[[], None]) -> None:
        """Run a job together with the other processes.

        Raises Stopped when it failed here and the others are stuck in it: only an end of all processes helps then.
        """
        number = self._count
        self._count += 1
        self._values.set(f"job-{number}", row.key)
        try:
            function()
        except Exception:
            self._settle(number)
            raise
        self._settle(number)

    def end(self) -> None:
        """Tell the others that the task is over."""
        self._values.set(f"job-{self._count}", END)

    def _settle(self, number: int) -> None:
        ended = [f"ended-{number}-{other}" for other in range(1, self._others + 1)]
        try:
            self._values.wait(ended, timedelta(seconds=SETTLE_SECONDS))
        except Exception as error:  # torch names the time-out differently from version to version
            raise Stopped(f"the other processes of job {number} did not end with it: {error}") from None


def follow(rows: Mapping[str, JobRow], call: Callable[[JobRow, Path], None], values: KeyValues) -> int:
    """Join rank 0 in every job until it ends; `call` runs one job with a folder to throw away. The exit code."""
    number = 0
    while True:
        values.wait([f"job-{number}"], PATIENCE)
        key = values.get(f"job-{number}").decode()
        if key == END:
            return 0
        with tempfile.TemporaryDirectory(prefix="traitgraph-rank-", ignore_cleanup_errors=True) as folder:
            try:
                call(rows[key], Path(folder))
            except Exception:  # the boundary: rank 0 fails too, and records why
                traceback.print_exc(file=sys.stderr)
        values.set(f"ended-{number}-{rank()}", "")
        number += 1
