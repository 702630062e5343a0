"""The environment of an array task: what submitit reads from SLURM's variables, and our signals.

From submitit: ids, ranks, host names, the warning signal and its override. Ours: the handlers and the requeue.
submitit's own handler saves a pickle and gives up when SLURM has requeued the job already; ours saves nothing itself,
because the work resumes from the store, and takes a refused requeue as an answer.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

from submitit.slurm.slurm import SlurmJobEnvironment

from traitgraph.launchers.slurm.site.scheduler import SchedulerError, call

Handler = Callable[[int, FrameType | None], None]


class ArrayTaskEnvironment(SlurmJobEnvironment):  # type: ignore[misc]  # submitit is not read by the type checker
    """What SLURM says about this array task."""

    @property
    def index(self) -> int:
        """Index in the array."""
        return int(self.array_task_id or 0)

    @property
    def rank(self) -> int:
        """0 on the first node, which speaks for the others."""
        return int(self.node_rank)

    @property
    def node_rank(self) -> int:
        """Number of this node among the nodes of the job."""
        return int(os.environ.get("SLURM_NODEID", "0"))

    @property
    def node(self) -> str:
        """Name of this node as SLURM knows it."""
        return os.environ.get("SLURMD_NODENAME") or socket.gethostname()

    @property
    def restarts(self) -> int:
        """How often SLURM started this job again."""
        return int(os.environ.get("SLURM_RESTART_COUNT", "0"))

    def handle_signals(self, warn: Handler, end: Handler) -> None:
        """Call `warn` before the time limit or a preemption, and `end` when SLURM ends the job."""
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.Signals[f"SIG{self.USR_SIG}"], warn)

    def requeue(self) -> str | None:
        """Put this job back into the queue; why SLURM refused, None when it did not."""
        try:
            call("scontrol", "requeue", self.job_id)
        except SchedulerError as error:
            return f"requeue of {self.job_id}: {error}"
        return None
