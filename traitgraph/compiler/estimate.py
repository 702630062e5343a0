"""How long a job takes, as far as packing needs it: the store's own record first, else a coarse guess by kind."""

from __future__ import annotations

from .context import Context
from .ir import Stage

SECONDS = {
    "prepare": 60.0,
    "generate": 3600.0,
    "train": 900.0,
    "vector": 20.0,
    "merge": 1.0,
    "assess": 120.0,
    "collect": 5.0,
}
"""First guesses, ours: they only size tasks, and the first run replaces them by measured medians."""

LOAD_SECONDS = 30.0
"""Starting a process and loading a model of a few billion weights; paid once per task."""


def job_seconds(stage: Stage, context: Context) -> float:
    """Seconds one job of a stage takes: the median of such jobs in the store, or a guess by kind."""
    for name in (f"{stage.kind} {stage.name}", stage.kind):
        if name in context.durations:
            return context.durations[name]
    return SECONDS.get(stage.kind, 60.0)
