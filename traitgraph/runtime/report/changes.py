"""How much a score changes from one subject to another, and how sure that is."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..assessment.item_scores import ItemScores
from .statistics import combined_error, combined_freedom, t_quantile
from .summaries import Score

ERROR = 0.05
"""Probability, on both sides together, with which chance alone makes a change count as clear."""


class Change(NamedTuple):
    """A difference of two scores with its standard error, and the degrees of freedom of that."""

    value: float
    stderr: float | None
    freedom: int | None = None

    def is_clear(self, error: float = ERROR) -> bool:
        """Whether it is larger than chance makes it, by Student's t; never without a standard error."""
        return self.stderr is not None and self.value != 0 and abs(self.value) >= self.margin(error)

    def margin(self, error: float = ERROR) -> float:
        """The smallest change that counts as clear; without end where nothing tells how large chance is."""
        if self.stderr is None or not self.freedom:
            return math.inf
        return t_quantile(self.freedom, error) * self.stderr


def change_between(metric: str, first: Score, last: Score, items: ItemScores | None) -> Change:
    """From `first` to `last`: paired over items where each is one administration whose items are known.

    Otherwise, and where the metric is no mean over items, the two scores count as independent.
    """
    value = last.value - first.value
    if items is not None and first.job and last.job:
        paired = items.change(metric, first.job, last.job)
        if paired is not None and math.isclose(paired.value, value, abs_tol=1e-6):
            return Change(value, paired.stderr, paired.n - 1)
    return Change(value, combined_error(first.stderr, last.stderr), _freedom(first, last))


def _freedom(first: Score, last: Score) -> int | None:
    if first.stderr is None or last.stderr is None or not first.freedom or not last.freedom:
        return None
    return combined_freedom((first.stderr, first.freedom), (last.stderr, last.freedom))
