"""The tests behind the verdicts, by scipy: what a reader could repeat with one call each."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import standard_error

ERROR = 0.05
"""Probability, on both sides together, with which chance alone may give a verdict."""
POWER = 0.8


def reweighed(values: Sequence[float], weights: Sequence[float]) -> Sequence[float]:
    """Values whose plain mean is the weighted one, and whose spread about it gives that its sandwich error.

    >>> reweighed([1.0, 4.0], [1, 3])
    [2.125, 4.375]
    """
    if len(set(weights)) < 2:
        return values
    total = math.fsum(weights)
    centre = math.fsum(map(operator.mul, weights, values)) / total
    return [
        centre + weight * len(values) / total * (value - centre) for weight, value in zip(weights, values, strict=True)
    ]


class Estimate(NamedTuple):
    """A mean, or a weighted sum of means, with its standard error and the degrees of freedom of that (Student's t).

    Without these nothing tells how large chance is, and every answer about it is None.
    """

    value: float
    stderr: float | None = None
    freedom: float | None = None

    @classmethod
    def over(cls, values: Sequence[float], weights: Sequence[int] = ()) -> Estimate:
        """The mean of one value an item; `weights` tell how many each stands for, where that is not the same."""
        if len(set(weights)) > 1:  # the sandwich error of a mean over clusters: with equal weights the usual one
            total, count = sum(weights), len(values)
            mean = math.fsum(map(operator.mul, weights, values)) / total
            squares = math.fsum((weight * (each - mean)) ** 2 for weight, each in zip(weights, values, strict=True))
            return cls(mean, math.sqrt(squares * count / (count - 1)) / total, count - 1)
        error = standard_error(values)
        return cls(math.fsum(values) / len(values), error, None if error is None else len(values) - 1)

    @property
    def p(self) -> float | None:
        """p of a true value of 0, both sides."""
        from scipy import stats

        if self.stderr is None or not self.freedom:
            return None
        if not self.stderr:
            return 1.0 if math.isclose(self.value, 0, abs_tol=1e-9) else 0.0
        return float(2 * stats.t.sf(abs(self.value) / self.stderr, self.freedom))

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval."""
        if self.stderr is None or not self.freedom:
            return None
        return t_beyond(ERROR / 2, self.freedom) * self.stderr

    def is_clear(self, error: float = ERROR) -> bool:
        """Whether it is larger than chance makes it."""
        return (p := self.p) is not None and p < error

    def excludes(self, margin: float | None) -> bool:
        """Whether a true value of `margin` or more is excluded on either side: two one-sided tests (TOST)."""
        from scipy import stats

        if margin is None or self.stderr is None or not self.freedom:
            return False
        room = margin - abs(self.value)
        return room > 0 and (not self.stderr or stats.t.sf(room / self.stderr, self.freedom) < ERROR)

    def detectable(self, error: float = ERROR) -> float | None:
        """The smallest true value that the test finds with 80 % power, by the noncentral t."""
        from scipy import optimize, stats

        if not self.stderr or not self.freedom:
            return None
        limit = t_beyond(error / 2, self.freedom)
        # The other side adds less than `error` / 2 to a power of 80 %: it is left out.
        shift = optimize.brentq(lambda each: stats.nct.sf(limit, self.freedom, each) - POWER, 0.0, 4 * limit + 10)
        return float(shift) * self.stderr


@cache  # the same few degrees of freedom for every point of a chart
def t_beyond(share: float, freedom: float) -> float:
    """The t that `share` of Student's distribution lies above."""
    from scipy import stats

    return float(stats.t.isf(share, freedom))


def combined(value: float, parts: Sequence[tuple[float | None, float | None]]) -> Estimate:
    """A sum of independent estimates from its value and the (standard error, degrees of freedom) of each.

    Welch and Satterthwaite.
    """
    known = [(error, freedom) for error, freedom in parts if error is not None and freedom]
    if not known or len(known) < len(parts):
        return Estimate(value)
    variance = math.fsum(error**2 for error, _ in known)
    if not variance:
        return Estimate(value, 0.0, min(freedom for _, freedom in known))
    freedom = variance**2 / math.fsum(error**4 / freedom for error, freedom in known)
    return Estimate(value, math.sqrt(variance), freedom)


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979), in their order.

    >>> holm([0.01, 0.5, 0.0625])
    [0.03, 0.5, 0.125]
    """
    found, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        found[place] = least = max(least, min(1.0, (len(values) - rank) * values[place]))
    return found


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rho; None when it is undefined.

    >>> spearman([0, 1, 2, 3], [1, 4, 9, 16])
    1.0
    """
    from scipy import stats

    varies = len(left) > 1 and all(min(side) < max(side) for side in (left, right))
    return float(stats.spearmanr(left, right).statistic) if varies else None
