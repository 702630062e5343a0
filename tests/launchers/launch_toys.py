"""A launcher in a process of its own: python launch_toys.py STORE TABLE [WORKERS]."""

from __future__ import annotations

import sys
from pathlib import Path

from traitgraph.launchers.local import run_locally
from traitgraph.launchers.progress import progress_view
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable

if __name__ == "__main__":
    table = JobTable.model_validate_json(Path(sys.argv[2]).read_bytes())
    with progress_view(table) as view:
        summary = run_locally(table, Store(Path(sys.argv[1])), workers=int(([*sys.argv, "1"])[3]), observer=view)
    print(summary.text())
    sys.exit(summary.exit_code)
