"""The command line as a user calls it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: object) -> list[str]:
    """`traitgraph ...` with this interpreter."""
    return [sys.executable, "-m", "traitgraph", *map(str, words)]


def environment() -> dict[str, str]:
    """This process's environment, one thread for torch, no hub."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
