"""What moved and what did not, by stated rules. Nothing here knows an expected result.

The rules are in the constants here and in `separation`, and in `RULES`, which the report prints.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .changes import ERROR, Change
from .curves import Curve, Point, own_curves
from .separation import FEWEST, MONOTONE, SHORTEST_SCALE, Judged, Pair, judge_alone, judge_pair, pairs_of, too_few
from .statistics import t_quantile
from .summaries import BenchmarkScores, Score, Subject

ERROR_OF_MANY = 0.0027
"""As `ERROR`, for the lowest of several points, which is low by chance more often than one point chosen beforehand.

That of three standard errors of a normal distribution.
"""
SPECIFIC, UNSPECIFIC = 0.25, 0.75
"""Largest change of another trait over the change of the own one: our words for a quarter and for three quarters."""

RULES = (
    "A vector or steering is judged by its gap: the score under the high level minus that under the low level, at the "
    "largest strength. It moves its trait when the gap follows the strength "
    f"(|Spearman| at least {MONOTONE}) and is larger than chance makes it (Student's t, p < {ERROR:g} on both sides, "
    "with the degrees of freedom of the items, repeats or seeds behind it). "
    "One of the two alone is unclear, and so is a gap without a standard error; neither is a null. "
    "With fewer than four strengths only the second rule applies. "
    "Where both levels change clearly from strength 0 (or the weakest there is; a prompt: from the base model) and in "
    "the same direction, the report says so, whatever the gap. "
    "A level without its opposite is judged by its own change, which may be a shift of every answer. "
    "The standard error is that of the differences item by item for a reply contrast and a task; "
    "repeats of a questionnaire, texts and seeds count as independent. "
    f"A task suffers when its worst point (by the task's own `higher_is_better`) is worse than its starting point by "
    f"more than chance makes it (p < {ERROR_OF_MANY:g}, since it is the worst of several); seeing no loss does not "
    "show that there is none, "
    "and a score that does not start clearly above guessing cannot show one. "
    f"Fewer than {FEWEST} items (pairs of replies, questions) get no verdict; a scale that is repeated needs "
    f"{SHORTEST_SCALE}. "
    f"An effect is specific when no other trait changes by {SPECIFIC:.0%} as much, and not specific from "
    f"{UNSPECIFIC:.0%} on. Nothing is corrected for the number of traits: of many nulls, a few look clear by chance."
)

Verdict = Judged | Literal["shifts", "suffers", "holds", "floor"]


class Finding(NamedTuple):
    """The verdict on both levels of a vector, on one level without its opposite, or on one vector under a task."""

    verdict: Verdict
    change: Change
    """What was judged: high minus low; the change of a level alone; from the start to the lowest point of a task."""
    at: float
    """The strength where it was judged."""
    curves: tuple[Curve, ...]

    @property
    def family(self) -> Subject:
        """Whose it is; without a level where both are judged."""
        return self.curves[0].family._replace(level="") if self.is_pair else self.curves[0].family

    @property
    def is_pair(self) -> bool:
        """Whether both levels are judged together."""
        return len(self.curves) > 1

    @property
    def spearman(self) -> float | None:
        """Spearman's rho of the strength with what is judged; None for fewer than three strengths."""
        return self.pair.spearman if self.is_pair else self.curves[0].spearman

    @property
    def pair(self) -> Pair:
        """Both levels. Only where `is_pair`."""
        return Pair(*self.curves)

    @property
    def strengths(self) -> int:
        """How many strengths there are."""
        return len(self.pair.strengths if self.is_pair else self.curves[0].points)

    @property
    def n(self) -> int | None:
        """Items behind each score."""
        return self.curves[0].points[-1].score.n


def findings_of(benchmark: BenchmarkScores) -> list[Finding]:
    """The verdicts on a benchmark, each under the metric that is meant to move.

    None where more is neither better nor worse.
    """
    if benchmark.kind in ("words", "layers"):
        return []
    curves = own_curves(benchmark)
    if benchmark.kind == "task":
        return [_task_finding(curve, chance_of(benchmark)) for curve in curves if curve.sign]
    pairs, alone = pairs_of(curves)
    found = [Finding(judge_pair(pair), pair.gap(pair.far), pair.far, tuple(pair)) for pair in pairs]
    return found + [_finding_alone(curve) for curve in alone]


def _finding_alone(curve: Curve) -> Finding:
    verdict = judge_alone(curve)
    return Finding("shifts" if verdict == "moves" else verdict, curve.change, curve.points[-1].strength, (curve,))


def _task_finding(curve: Curve, chance: float | None) -> Finding:
    lowest = lowest_point(curve)
    return Finding(judge_task(curve, chance), curve.change_to(lowest), lowest.strength, (curve,))


def judge_task(curve: Curve, chance: float | None = None) -> Verdict:
    """Whether the lowest point of a task lies clearly below its starting point; `floor` where it could not."""
    start, lowest = curve.start.score, lowest_point(curve)
    loss = curve.change_to(lowest)
    if too_few(start) or too_few(lowest.score):
        return "few"
    if loss.value * curve.sign < 0 and loss.is_clear(ERROR_OF_MANY):
        return "suffers"
    if start.stderr is None or lowest.score.stderr is None:
        return "unclear"
    return "floor" if chance is not None and curve.sign > 0 and _is_at_chance(start, chance) else "holds"


def _is_at_chance(start: Score, chance: float) -> bool:
    """Whether a score does not lie clearly above guessing: what knows nothing has nothing to lose."""
    return Change(start.value - chance, _own_error(start), start.freedom).margin() > start.value - chance


def lowest_point(curve: Curve) -> Point:
    """The worst point: that with the lowest score, or where less is better, with the highest."""
    return min(curve.points, key=lambda point: point.score.value * curve.sign)


def smallest_loss(curve: Curve) -> float | None:
    """The smallest loss that would count as clear; None without a standard error.

    By the standard errors of the scores: answers that did not change at all give a change no error.
    """
    start = curve.start.score
    errors = [_own_error(score) for score in (start, lowest_point(curve).score)]
    if not start.freedom or None in errors:
        return None
    return t_quantile(start.freedom, ERROR_OF_MANY) * max(filter(None, errors), default=0.0)


def _own_error(score: Score) -> float | None:
    """The standard error; where all answers are right, or all wrong, that of one answer that is not."""
    return 1 / score.n if score.stderr == 0 and score.value in (0, 1) and score.n else score.stderr


def chance_of(benchmark: BenchmarkScores) -> float | None:
    """What guessing scores, where the benchmark tells it."""
    known = list(benchmark.validity.get("chance", {}).values())
    return known[0].value if known else None
