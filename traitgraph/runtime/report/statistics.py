"""Correlations of few points, exactly as a reader would compute them by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..assessment.measurement import correlation as pearson

__all__ = ["pearson", "spearman"]


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rho: Pearson's r of the ranks, ties sharing their mean rank; None when undefined.

    >>> spearman([0, 1, 2, 3], [1, 4, 9, 16])
    1.0
    """
    rho = pearson(_ranks(left), _ranks(right))
    return None if rho is None else max(-1.0, min(1.0, rho))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2
        start = end + 1
    return ranks


def combined_error(left: float | None, right: float | None) -> float | None:
    """Standard error of a difference of two means taken as independent; None when either is unknown.

    Means over the same items are not independent; their difference is then usually less uncertain than this says.
    """
    return None if left is None or right is None else math.hypot(left, right)
