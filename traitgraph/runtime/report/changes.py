"""How much a score changes from one subject to another, and how sure that is."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..assessment.item_scores import ItemScores
from .statistics import combined_error
from .summaries import Score


class Change(NamedTuple):
    """A difference of two scores with its standard error."""

    value: float
    stderr: float | None


def change_between(metric: str, first: Score, last: Score, items: ItemScores | None) -> Change:
    """From `first` to `last`: paired over items where each is one administration whose items are known.

    Otherwise, and where the metric is no mean over items, the two scores count as independent.
    """
    value = last.value - first.value
    if items is not None and first.job and last.job:
        paired = items.change(metric, first.job, last.job)
        if paired is not None and math.isclose(paired.value, value, abs_tol=1e-6):
            return Change(value, paired.stderr)
    return Change(value, combined_error(first.stderr, last.stderr))
