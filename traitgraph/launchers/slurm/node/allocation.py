"""The allocation of an array task: what SLURM says about it, its signals, and the worker's command on each node.

From submitit: ids, ranks, host names, the warning signal and its override. Ours: the handlers and the requeue.
submitit's own handler saves a pickle and gives up when SLURM has requeued the job already; ours saves nothing itself,
because the work resumes from the store, and takes a refused requeue as an answer.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from submitit.slurm.slurm import SlurmJobEnvironment

from traitgraph.launchers.slurm.record.attempts import ArrayRecord
from traitgraph.launchers.slurm.site.scheduler import SchedulerError, call
from traitgraph.launchers.worker_process import worker_command

Handler = Callable[[int, FrameType | None], None]


class Allocation(SlurmJobEnvironment):  # type: ignore[misc]  # submitit is not read by the type checker
    """What SLURM says about this array task. `node` is 0 on its first node, which speaks for the others."""

    @property
    def index(self) -> int:
        """Index in the array."""
        return int(self.array_task_id or 0)

    @property
    def node_name(self) -> str:
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

    def command(self, array: ArrayRecord, table: Path, task: str) -> list[str]:
        """What runs a task on this node: plain python, or torchrun when several processes share one training."""
        python, *worker = worker_command(table, task, Path(array.store))
        if not array.is_distributed:
            return [python, *worker]
        from submitit.helpers import TorchDistributedEnvironment

        return [
            python,
            "-m",
            "torch.distributed.run",
            f"--nnodes={array.nodes}",
            f"--nproc-per-node={array.processes}",
            f"--node-rank={self.node}",
            f"--master-addr={_address(self.hostnames[0])}",
            # Drawn from the job's id, or MASTER_PORT: nodes of a job agree, and two jobs on one node rarely do.
            f"--master-port={TorchDistributedEnvironment().master_port}",
            "--no-python",
            python,
            *worker,
        ]


def _address(first_node: str) -> str:
    """The name of the first node where that resolves, else the address that srun was started from."""
    try:
        socket.getaddrinfo(first_node, None)
    except OSError:
        return os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
    return first_node
