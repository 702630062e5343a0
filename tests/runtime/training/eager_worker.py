"""The worker with short waits: a checkpoint after every step, every progress told, and faults on demand.

FAIL_RANK=1 FAIL_CALL=3: that process runs out of memory when it agrees with the others for the third time.
"""

from __future__ import annotations

import os
import sys

from traitgraph.runtime.training import checkpoints
from traitgraph.runtime.worker import distributed, events
from traitgraph.runtime.worker.task import main

events.PROGRESS_SECONDS = 0.0
checkpoints.SECONDS_BETWEEN = 0.0
checkpoints.SAVING_SHARE = float("inf")
distributed.SETTLE_SECONDS = 3.0
agreed, calls = checkpoints.agreed, 0


def agreed_or_failed(*wishes: bool) -> tuple[bool, ...]:
    global calls
    calls += 1
    if os.environ.get("FAIL_RANK") == os.environ.get("RANK", "0") and calls == int(os.environ["FAIL_CALL"]):
        raise MemoryError("out of memory on purpose")
    return agreed(*wishes)


if __name__ == "__main__":
    checkpoints.agreed = agreed_or_failed
    sys.exit(main())
