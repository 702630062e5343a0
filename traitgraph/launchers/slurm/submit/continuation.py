"""The small job that submits what did not fit under the site's limit, so that no controller has to live.

python -m traitgraph.launchers.slurm.submit.continuation RUN_FOLDER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store

from .submit import BusyError, submit

ATTEMPTS = 5

PAUSE_SECONDS = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    """Go on with a submission; 0 when SLURM took it."""
    (run,) = list(sys.argv[1:] if argv is None else argv)
    record = SubmissionRecord(RunRecord(Path(run)))
    with Store(Path(record.text.store)) as store:
        for attempt in range(ATTEMPTS):
            try:
                progress = submit(store, record)
            except (SchedulerError, BusyError) as error:
                print(f"attempt {attempt + 1}: {error}", file=sys.stderr, flush=True)
                time.sleep(PAUSE_SECONDS)
            else:
                print(f"{progress.submitted} tasks submitted, {progress.waiting} wait for room", flush=True)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
