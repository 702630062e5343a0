"""What a compilation may ask of the world. The caller hands it in: passes read no file, clock or variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.specs.dialogue_counts import Counts, count_dialogues, count_items
from traitgraph.specs.identity import digest_path

if TYPE_CHECKING:
    from traitgraph.specs.cluster import Cluster

    from .select import Selector


def _nothing_present(kind: str, key: str) -> bool:
    return False


def _nothing_installed(built_in: str | None) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """Content digests, what the store holds, and how long things took before."""

    digest_of: Callable[[Path], str] = digest_path
    count_rows: Callable[[Path, Mapping[str, str]], Counts] = count_dialogues
    """Rows of a local file of dialogues, given our field -> its field; for prices only."""
    count_items: Callable[[Path], int] = count_items
    """Items of a questionnaire's file; for prices only."""
    harness: Callable[[str | None], str | None] = _nothing_installed
    """Release of lm-eval, with a digest of the built-in task that is named; None where it is not installed."""
    present: Callable[[str, str], bool] = _nothing_present
    durations: Mapping[str, float] = field(default_factory=dict)
    """Median seconds of jobs in the store, by the names of `specs/durations.py`."""
    task_minutes: float = 30.0
    """Jobs are packed into tasks of about this length."""
    cluster: Cluster | None = None
    """Where tasks will run: they are packed to half of the time limits that it gives, whatever `task_minutes` says."""
    device: str | None = None
    """Accelerator of `hardware.DEVICES` that prices are for; None: a CPU for small models, else an A100."""
    select: tuple[Selector, ...] = ()
    """What is asked for; empty: everything."""
    throttle: int | None = None
    """Tasks that may run at the same time; None: no limit."""
