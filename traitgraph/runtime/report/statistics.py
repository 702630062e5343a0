"""The tests behind the verdicts, by scipy: what a reader could repeat with one call each."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from traitgraph.runtime.assessment.measurement import correlation as pearson
from traitgraph.runtime.assessment.measurement import standard_error

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


__all__ = ["ERROR", "Estimate", "Omnibus", "combined", "holm", "keyed_contrast", "omnibus", "pearson", "spearman"]

ERROR = 0.05
"""Probability, on both sides together, with which chance alone may give a verdict."""
POWER = 0.8
SAME_SHARE = 0.05
"""Share of the variance of an answer below which a difference between conditions is none, however small its p."""
EXCLUDED_SHARE = 0.15
"""Share of the variance that must be excluded before conditions are said not to differ. Ours: ten, of 44 items and five
repeats, that differ by nothing but chance have a limit of 4 %, and two of 20 items one of 20 %."""
SAME = 0.01
"""Largest difference of an answer, in units of its scale, that still counts as none where nothing is drawn."""


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
        from scipy import stats

        known = self.stderr is not None and self.freedom
        return float(stats.t.isf(ERROR / 2, self.freedom) * self.stderr) if known else None

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
        limit = stats.t.isf(error / 2, self.freedom)
        # The other side adds less than `error` / 2 to a power of 80 %: it is left out.
        shift = optimize.brentq(lambda each: stats.nct.sf(limit, self.freedom, each) - POWER, 0.0, 4 * limit + 10)
        return float(shift) * self.stderr


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


def keyed_contrast(shifts: Mapping[tuple[str, int], Sequence[float]], trait: str) -> Estimate | None:
    """How far a trait moved, from raw shifts of all items of a form by (trait, keying): agreement cancels.

    Half the difference between the shifts of items keyed + and items keyed −: a shift that all answers share
    (agreement, a letter) gives 0. A trait keyed one way is compared with traits keyed both ways; None without any.
    The scatter is that of all items of the form about the mean of their own trait and keying, since four items say
    little about their own; or that of the trait's own items, where it is larger.
    """
    import numpy as np

    cells = {cell: np.asarray(values, dtype=float) for cell, values in shifts.items() if len(values)}
    own = [cell for cell in cells if cell[0] == trait]
    both = [name for name, sign in cells if sign > 0 and name != trait and (name, -1) in cells]
    if len(own) == 2:
        weights = {cell: cell[1] / 2 for cell in own}
    elif own and both:
        weights = {own[0]: float(own[0][1])}
        weights |= {(name, sign): -own[0][1] / (2 * len(both)) for name in both for sign in (1, -1)}
    else:
        return None
    value = math.fsum(weight * float(cells[cell].mean()) for cell, weight in weights.items())
    squares = {cell: float(((values - values.mean()) ** 2).sum()) for cell, values in cells.items()}
    free = {cell: len(values) - 1 for cell, values in cells.items()}
    scatter = [
        math.fsum(squares[cell] for cell in which) / sum(free[cell] for cell in which)
        for which in (cells, own) if sum(free[cell] for cell in which)
    ]  # fmt: skip
    if not scatter:
        return Estimate(value)
    spread = math.fsum(weight**2 / len(cells[cell]) for cell, weight in weights.items())
    return Estimate(value, math.sqrt(max(scatter) * spread), sum(free.values()))


class Omnibus(NamedTuple):
    """Whether conditions differ at all: F over all items and its p; None where nothing is drawn."""

    f: float | None
    p: float | None
    differ: bool
    limit: float = 0.0
    """Share of the variance of an answer that conditions may have after all (upper limit of a 95 % interval)."""

    @property
    def excludes_differences(self) -> bool:
        """Whether a difference worth the name is excluded, and not only unseen because answers are few."""
        return not self.differ and self.limit < EXCLUDED_SHARE


def omnibus(values: Values) -> Omnibus | None:
    """Do answers, [condition, repeat, item] with NaN for none, differ more between conditions than between repeats?

    One-way analyses of variance of each item over conditions, added up. Where repeats are equal, or there is only one,
    any difference counts. None where no item has an answer under two conditions.
    """
    import numpy as np
    from scipy import stats

    counts = (~np.isnan(values)).sum(axis=1)  # [condition, item]
    used = (counts > 0).sum(axis=0) > 1
    if not used.any():
        return None
    values, counts = values[:, :, used], counts[:, used]
    means = np.divide(np.nansum(values, axis=1), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    offsets = means - np.nansum(counts * means, axis=0) / counts.sum(axis=0)
    within = float(np.nansum((values - means[:, None, :]) ** 2))
    between_free, within_free = int((counts > 0).sum() - counts.shape[1]), int((counts - 1)[counts > 0].sum())
    if not within_free or not within:
        return Omnibus(None, None, bool((np.nanmax(means, axis=0) - np.nanmin(means, axis=0)).max() > SAME))
    noise = within / within_free
    f = float(np.nansum(counts * offsets**2)) / between_free / noise
    p, size = float(stats.f.sf(f, between_free, within_free)), float(counts[counts > 0].mean())
    share, limit = (  # of F = (1 + size * ratio) * chance, where chance is 1, and where it is as low as it gets
        ratio / (1 + ratio)
        for chance in (1.0, float(stats.f.ppf(ERROR / 2, between_free, within_free)))
        for ratio in [max(0.0, f / chance - 1) / size]
    )
    return Omnibus(f, p, p < ERROR and share >= SAME_SHARE, limit)


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rho; None when it is undefined.

    >>> spearman([0, 1, 2, 3], [1, 4, 9, 16])
    1.0
    """
    from scipy import stats

    varies = len(left) > 1 and all(min(side) < max(side) for side in (left, right))
    return float(stats.spearmanr(left, right).statistic) if varies else None
