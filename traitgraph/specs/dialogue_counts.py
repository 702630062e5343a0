"""How many dialogue rows a file holds for each trait, level and split, and how many items: for prices only.

A file of up to 1 MB is read whole; of a larger one 16 pieces are read and the rest is taken to be like them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

Counts = Mapping[tuple[str, str, str], float]
"""(trait, level, split) -> rows. The split is `train` or `heldout`."""

WHOLE = 1 << 20
PIECES, PIECE = 16, 1 << 15
"""Bytes of a file that is read whole; pieces of a larger one, and bytes of each."""


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
