"""Correlations of few points, exactly as a reader would compute them by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from ..assessment.measurement import correlation as pearson

__all__ = ["combined_error", "combined_freedom", "pearson", "spearman", "t_quantile"]

MANY = 1000
"""Degrees of freedom from which Student's t is taken at this number: its quantiles change by less than 0.2 % beyond."""


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


def combined_freedom(left: tuple[float, int], right: tuple[float, int]) -> int:
    """Degrees of freedom of a difference of two independent means, each (standard error, own degrees), rounded down.

    Welch and Satterthwaite: (a^2 + b^2)^2 / (a^4 / f + b^4 / g). The smaller of both where no error is above 0.
    """
    parts = [error**4 / freedom for error, freedom in (left, right)]
    if not sum(parts):
        return min(left[1], right[1])
    return math.floor((left[0] ** 2 + right[0] ** 2) ** 2 / sum(parts) + 1e-9)


@cache
def t_quantile(freedom: int, error: float) -> float:
    """How many standard errors Student's t exceeds, on either side, with probability `error`.

    >>> round(t_quantile(11, 0.05), 3)
    2.201
    """
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < 1 - error:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < 1 - error else (low, middle)
    return high


def _t_within(value: float, freedom: int) -> float:
    """P(|t| < value), a finite sum for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    freedom = min(freedom, MANY)
    angle = math.atan(value / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * (total if freedom > 1 else 0.0))
    return math.sin(angle) * total
