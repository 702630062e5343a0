"""High against low: whether a condition tells its levels apart, shifts both the same way, or does neither.

A score that rises under the high and under the low level says nothing about the trait: the verdict is on their gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from .changes import Change, change_between
from .curves import Curve
from .statistics import spearman
from .summaries import Score

MONOTONE = 0.8
"""|Spearman| from which a curve counts as following its strength. Of 8 points this has p = 0.022 under no relation."""
FEWEST = 5
"""Items (pairs of replies, questions) below which nothing is judged: the spread of so few is hardly known itself."""
SHORTEST_SCALE = 4
"""The same for scores over repeats, whose items are a fixed scale: the shortest in use (Mini-IPIP) has four."""

Direction = Literal["moves", "reversed", "unclear", "null"]
Judged = Direction | Literal["shared", "few"]


class Pair(NamedTuple):
    """Both levels of one vector (or steering) under their own trait."""

    high: Curve
    low: Curve

    @property
    def strengths(self) -> list[float]:
        """The strengths that both levels have, from the smallest on."""
        return sorted({point.strength for point in self.high.points} & {point.strength for point in self.low.points})

    @property
    def far(self) -> float:
        """The strength that is judged: the largest, or where none lies above 0 the smallest."""
        strengths = self.strengths
        return strengths[-1] if strengths[-1] > 0 else strengths[0]

    def gap(self, strength: float) -> Change:
        """High minus low at a strength."""
        low, high = (curve.at(strength).score for curve in (self.low, self.high))
        return change_between(self.high.metric, low, high, self.high.items)

    @property
    def shifts(self) -> tuple[Change, Change]:
        """How far high and low lie at the judged strength from where each begins."""
        high, low = (curve.change_to(curve.at(self.far)) for curve in self)
        return high, low

    @property
    def spearman(self) -> float | None:
        """Spearman's rho of strength and gap; None for fewer than three strengths."""
        strengths = self.strengths
        gaps = [self.high.at(each).score.value - self.low.at(each).score.value for each in strengths]
        return spearman(strengths, gaps) if len(strengths) > 2 else None


def pairs_of(curves: Sequence[Curve]) -> tuple[list[Pair], list[Curve]]:
    """High and low of one family side by side, where they share a strength; and the curves left alone."""
    opposite = {curve.family._replace(level="high"): curve for curve in curves if curve.family.level == "low"}
    pairs = [
        pair
        for curve in curves
        if curve.family.level == "high" and (low := opposite.get(curve.family)) is not None
        if any((pair := Pair(curve, low)).strengths)
    ]
    paired = {id(curve) for pair in pairs for curve in pair}
    return pairs, [curve for curve in curves if id(curve) not in paired]


def judge_pair(pair: Pair) -> Judged:
    """The verdict on the gap at the judged strength; below strength 0 it should be negative."""
    gap, rho, sign = pair.gap(pair.far), pair.spearman, math.copysign(1, pair.far)
    toward = gap._replace(value=sign * gap.value)
    follows = _follows(rho, toward.value) if len(pair.strengths) >= 4 else None
    return judge_gap(toward, pair.shifts, [curve.at(pair.far).score for curve in pair], follows)


def judge_gap(
    gap: Change, shifts: tuple[Change, Change] | None, scores: Sequence[Score], follows: bool | None = None
) -> Judged:
    """The verdict on high minus low.

    `shifts` are the changes of high and low from where they begin, where that is known, `scores` those compared,
    `follows` whether the gap follows the strength; None with too few strengths to tell.
    """
    if any(map(too_few, scores)):
        return "few"
    if shifts is not None and all(each.is_clear() for each in shifts) and shifts[0].value * shifts[1].value > 0:
        return "shared"
    return judge_change(gap, follows)


def judge_change(change: Change, follows: bool | None) -> Direction:
    """Clear and following its strength, either alone, or neither."""
    if math.isinf(change.margin()):
        return "unclear"  # nothing says how large a change chance makes
    clear = change.is_clear()
    follows = clear if follows is None else follows
    if not (clear or follows):
        return "null"
    if clear != follows:
        return "unclear"
    return "moves" if change.value > 0 else "reversed"


def judge_alone(curve: Curve) -> Judged:
    """The verdict on a vector whose opposite level was not measured: up for high, down for low."""
    if too_few(curve.points[-1].score):
        return "few"
    change, rho = curve.change, curve.spearman
    sign = -1 if curve.family.level == "low" else 1
    follows = None if len(curve.points) < 4 or rho is None else _follows(rho, change.value)
    return judge_change(change._replace(value=sign * change.value), follows)


def _follows(rho: float | None, change: float) -> bool:
    return rho is not None and abs(rho) >= MONOTONE and rho * change > 0


def too_few(score: Score) -> bool:
    """Whether a score rests on too few items for a verdict."""
    return score.n is not None and score.n < (FEWEST if score.over in ("items", "") else SHORTEST_SCALE)
