"""What a compilation may ask of the world. The caller hands it in: passes read no file, clock or variable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.specs.source.hashing import digest_path

if TYPE_CHECKING:
    from traitgraph.specs.study.cluster import Cluster

    from .selector import Selector


Counts = Mapping[tuple[str, str, str], float]
"""(trait, level, split) -> rows. The split is `train` or `heldout`."""

WHOLE, PIECES, PIECE = 1 << 20, 16, 1 << 15
"""Bytes of a file that is read whole; pieces of a larger one, whose rest is taken to be like them; bytes of a piece."""


def count_dialogues(path: Path, fields: Mapping[str, str]) -> Counts:
    """Rows by trait, level and split; empty for a file that is gone or has other fields. `fields`: ours -> theirs."""
    try:
        size = path.stat().st_size
        pieces = [path.read_bytes()] if size <= WHOLE else list(_pieces(path, size))
    except OSError:
        return {}
    counted = Counter(filter(None, (_condition(line, fields) for piece in pieces for line in piece.split(b"\n"))))
    factor = size / max(1, sum(map(len, pieces)))
    return {condition: number * factor for condition, number in counted.items()}


def count_items(path: Path) -> int:
    """Items of a questionnaire's file; 0 for a file that is gone or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    items = found.get("items") if isinstance(found, dict) else None
    return len(items) if isinstance(items, list) else 0


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """Bytes from places all over the file; the lines at their ends are cut off and not counted."""
    with path.open("rb") as stream:
        for number in range(PIECES):
            stream.seek(number * (size - PIECE) // (PIECES - 1))
            yield stream.read(PIECE)


def _condition(line: bytes, fields: Mapping[str, str]) -> tuple[str, str, str] | None:
    """What a row is about; None for a line that is cut off or no row."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    trait, level, split = (str(row.get(fields.get(name, name)) or "") for name in ("trait", "level", "split"))
    return trait.strip().lower(), level.strip().lower(), "train" if split in ("", "train") else "heldout"


@dataclass(frozen=True)
class Context:
    """Content digests, what the store holds, and how long things took before."""

    digest_of: Callable[[Path], str] = digest_path
    count_rows: Callable[[Path, Mapping[str, str]], Counts] = count_dialogues
    """Rows of a local file of dialogues, given our field -> its field; for prices only."""
    count_items: Callable[[Path], int] = count_items
    """Items of a questionnaire's file; for prices only."""
    harness: Callable[[str | None], str | None] = lambda built_in: None
    """Release of lm-eval, with a digest of the built-in task that is named; None where it is not installed."""
    present: Callable[[str, str], bool] = lambda kind, key: False
    durations: Mapping[str, float] = field(default_factory=dict)
    """Median seconds of jobs in the store, by the names of `specs/jobs/results.py`."""
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
