"""What a job ran on, for readers of its results: the kind of GPU, or of CPU and how many cores. No host name."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path


def hardware() -> str:
    """'GPU: NVIDIA H200' where this process has used one, else 'CPU: AMD EPYC 7B13, 2 cores'."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"GPU: {torch.cuda.get_device_name()}"
    cores = _cores()
    return f"CPU: {_processor()}, {cores} core{'' if cores == 1 else 's'}"


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _processor() -> str:
    """The maker's name of the processor, else its architecture."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            found = next((line.partition(":")[2] for line in stream if line.startswith("model name")), "")
    except OSError:
        found = ""
    return " ".join(found.split()) or platform.machine() or "unknown"
