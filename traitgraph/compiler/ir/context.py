"""What a compilation may ask of the world. The caller hands it in: passes read no file, clock or variable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.specs.folders.tables import Table, TableError, arrow_rows, csv_rows, reach
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.vocabulary import BIG_FIVE

if TYPE_CHECKING:
    from traitgraph.specs.study.cluster import Cluster

    from .selector import Selector


Counts = Mapping[tuple[str, str, str], float]
"""(trait, level, split) -> rows. The split is `train` or `heldout`."""

CELLS, LISTED = 4 << 20, 32 << 20
"""Bytes that are read of a CSV file, whose rest is taken to be like them; those of a JSON list that is counted."""
WHOLE, PIECES, PIECE = 1 << 20, 16, 1 << 15
"""Bytes of a file that is read whole; pieces of a larger one, whose rest is taken to be like them; bytes of a piece."""


def count_dialogues(path: Path, fields: Mapping[str, str], table: Table | None = None) -> Counts:
    """Rows by trait, level and split; empty for a file that is gone or has other fields. `fields`: ours -> theirs."""
    names = {ours: fields.get(ours, ours) for ours in ("trait", "level", "split")}
    try:
        if table in ("parquet", "arrow"):
            columns = {column for name in names.values() for column in (name, name.partition(".")[0])} | {"split"}
            rows: Iterable[object] = (row.values for row in arrow_rows(path, table, columns))
            return Counter(filter(None, (_condition(row, names) for row in rows)))
        size = path.stat().st_size
        if table == "csv" or _is_list(path):  # a piece might begin inside a cell or a row
            with path.open("rb") as stream:
                pieces = [stream.read(CELLS if table else LISTED)]
            rows = _cells(pieces[0]) if table else json.loads(pieces[0])
        else:
            pieces = [path.read_bytes()] if size <= WHOLE else list(_pieces(path, size))
            rows = (_object(line) for piece in pieces for line in piece.split(b"\n"))
        counted = Counter(filter(None, (_condition(row, names) for row in rows)))
    except (OSError, ValueError, RecursionError):
        return {}
    factor = size / max(1, sum(map(len, pieces)))
    return {condition: number * factor for condition, number in counted.items()}


def _is_list(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(PIECE).lstrip().startswith(b"[")


def _cells(text: bytes) -> Iterator[object]:
    """The rows of a CSV text, which may be cut off: what cannot be read ends it."""
    with suppress(TableError):
        yield from (row.values for row in csv_rows(text.decode("utf-8-sig", "replace")))


def count_items(path: Path) -> int:
    """Items of a questionnaire's file; 0 for a file that is gone or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    items = found.get("items") if isinstance(found, dict) else found  # TRAIT's file is a list
    return len(items) if isinstance(items, list) else 0


def words_of_items(path: Path) -> tuple[set[str], set[str]]:
    """What the items of a questionnaire's file call traits, less what the file declares, and levels of options."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set(), set()
    items = found.get("items") if isinstance(found, dict) else found
    known = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    lists = (item["options"] for item in known if isinstance(item.get("options"), list))
    options = [option for each in lists for option in each if isinstance(option, dict)]
    levels = {str(option["level"]) for option in options if option.get("level") is not None}
    if any("response_high1" in item for item in known):  # TRAIT's
        levels |= set(BIG_FIVE.levels)
    own = found.get("domains") if isinstance(found, dict) else None
    used = {str(each.get(name)) for each in (*known, *options) for name in ("domain", "trait")}
    return used.difference(own if isinstance(own, dict) else ()), levels


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """Bytes from places all over the file; the lines at their ends are cut off and not counted."""
    with path.open("rb") as stream:
        for number in range(PIECES):
            stream.seek(number * (size - PIECE) // (PIECES - 1))
            yield stream.read(PIECE)


def _object(line: bytes) -> object:
    """The row of a line; None for one that is cut off or no row."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _condition(row: object, names: Mapping[str, str]) -> tuple[str, str, str] | None:
    """What a row is about; None for what is no row."""
    if not isinstance(row, dict):
        return None
    trait, level, split = (str(reach(row, names[name]) or "") for name in ("trait", "level", "split"))
    return trait.strip().lower(), level.strip().lower(), "train" if split in ("", "train") else "heldout"


@dataclass(frozen=True)
class Context:
    """Content digests, what the store holds, and how long things took before."""

    digest_of: Callable[[Path], str] = digest_path
    count_rows: Callable[[Path, Mapping[str, str], Table | None], Counts] = count_dialogues
    """Rows of local dialogues, given our field -> its field and how they are written; for prices only."""
    count_items: Callable[[Path], int] = count_items
    """Items of a questionnaire's file; for prices only."""
    words_of_items: Callable[[Path], tuple[set[str], set[str]]] = words_of_items
    """What a questionnaire's file calls traits and levels: what these mean is part of a job."""
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
