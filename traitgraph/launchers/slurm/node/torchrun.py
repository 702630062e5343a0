"""The worker's command inside an allocation: plain python, or torchrun when several processes share one training."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from traitgraph.launchers.slurm.record.attempts import ArrayRecord
from traitgraph.launchers.worker_process import worker_command


class Allocation(Protocol):
    """What SLURM says about the nodes of this job."""

    @property
    def hostnames(self) -> Sequence[str]:
        """Nodes in the order of their ranks."""
        ...

    @property
    def node_rank(self) -> int:
        """Number of this node."""
        ...


def node_command(array: ArrayRecord, table: Path, task: str, allocation: Allocation) -> list[str]:
    """The command that runs a task on this node."""
    python, *worker = worker_command(table, task, Path(array.store))
    if not array.is_distributed:
        return [python, *worker]
    return [
        python,
        "-m",
        "torch.distributed.run",
        f"--nnodes={array.nodes}",
        f"--nproc-per-node={array.processes}",
        f"--node-rank={allocation.node_rank}",
        f"--master-addr={master_address(allocation.hostnames[0])}",
        f"--master-port={master_port()}",
        "--no-python",
        python,
        *worker,
    ]


def master_address(first_node: str) -> str:
    """Address of the first node: its name where that resolves, else the one that srun was started from."""
    try:
        socket.getaddrinfo(first_node, None)
    except OSError:
        return os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
    return first_node


def master_port() -> int:
    """A port that the nodes of one job agree on and two jobs on one node rarely share; MASTER_PORT overrides it.

    submitit draws it from the job id, between 20,000 and 60,000.
    """
    from submitit.helpers import TorchDistributedEnvironment

    return int(TorchDistributedEnvironment().master_port)
