"""Scores of single items, read back from raw answers: what a change between two subjects is tested on.

Two subjects answer the same items, so their difference is known better than either mean: items differ far more from
each other than a subject from its neighbour.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..store import Store, StoreError
from .measurement import ANSWERS_FILE, mean, standard_error

ItemValues = Mapping[str, Mapping[str, float]]
"""Metric -> item -> value."""


class PairedChange(NamedTuple):
    """Mean of the differences item by item, with the standard error of that mean."""

    value: float
    stderr: float
    n: int
    """How many items."""


class ItemScores:
    """Item by item comparisons of assessments in a store. Files are read when asked for, and remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._values = lru_cache(maxsize=256)(self._read)
        self._changes = lru_cache(maxsize=None)(self._compare)

    def change(self, metric: str, before: str, after: str) -> PairedChange | None:
        """From the assessment `before` to `after` (job keys).

        None when a job is not in the store, its benchmark keeps no value per item, or the items are not the same ones.
        """
        return self._changes(metric, before, after)

    def scale(self, job: str) -> tuple[float, float] | None:
        """Least and largest value of the scale on which an assessment's items were answered; None without one."""
        try:
            rows = _rows(self._store.open("assess", job).path / ANSWERS_FILE)
        except StoreError:
            return None
        low, high = next(rows, {}).get("scale") or (None, None)
        return None if low is None or high is None else (float(low), float(high))

    def _compare(self, metric: str, before: str, after: str) -> PairedChange | None:
        first, last = (self._values(job).get(metric, {}) for job in (before, after))
        if first.keys() != last.keys():
            return None
        differences = [last[item] - value for item, value in first.items()]
        centre, stderr = mean(differences), standard_error(differences)
        return None if centre is None or stderr is None else PairedChange(centre, stderr, len(differences))

    def _read(self, job: str) -> ItemValues:
        try:
            return item_values(self._store.open("assess", job).path)
        except StoreError:
            return {}


def item_values(folder: Path) -> dict[str, dict[str, float]]:
    """Values of the items behind the metrics of an assessment; empty where a metric is no mean over items.

    A reply contrast has one per pair [nats/token], a task of lm-eval one per document. A questionnaire has none here:
    its uncertainty is that of its repeats.
    """
    values: dict[str, dict[str, float]] = {}
    times = Counter[tuple[str, ...]]()
    for row in _rows(folder / ANSWERS_FILE):
        if "loglik" in row:
            pairs = values.setdefault(row["trait"], {})
            sign = 1 if row["level"] == "high" else -1
            reply = (row["trait"], row["pair"], row["level"])
            name = f"{row['pair']}/{times[reply]}"  # several pairs may have one name
            times[reply] += 1
            pairs[name] = pairs.get(name, 0.0) + sign * row["loglik"] / row["tokens"]
        elif isinstance(row.get("values"), dict):
            for kind, value in row["values"].items():
                name = kind if row["filter"] == "none" else f"{kind}.{row['filter']}"
                if isinstance(value, int | float):
                    values.setdefault(name, {})[f"{row['task']}/{row['document']}"] = float(value)
    return values


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.strip():
                yield json.loads(line)
