"""A launch in a process of its own, to be killed: python -m tests.launchers.slurm.launch_once TABLE STORE."""

from __future__ import annotations

import sys
from pathlib import Path

from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable

from .studies import CLUSTER

if __name__ == "__main__":
    table = JobTable.model_validate_json(Path(sys.argv[1]).read_bytes())
    with Store(Path(sys.argv[2])) as store:
        print(launch(table, store, CLUSTER, probe=False).text(), flush=True)
