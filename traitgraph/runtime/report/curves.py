"""Score against strength: the subjects of one vector (or one steering) in the order of alpha or gamma."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import itemgetter
from typing import Literal, NamedTuple

from traitgraph.runtime.assessment.measurement import correlation
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores

from .changes import change_of
from .labels import strength_name, variant_of
from .statistics import Estimate, spearman
from .summaries import BenchmarkScores, Score, Scores, Subject, strength, subject_order

AxisName = Literal["alpha", "gamma"]

SURVIVES = 0.01
"""Share of a strength that rounding may take before lines are drawn over what is left. Ours."""


class Point(NamedTuple):
    """One strength and its score."""

    strength: float
    score: Score
    subject: Subject

    @property
    def effective(self) -> float:
        """What slopes and lines are over: the strength that survived rounding where that is another (1 % or more)."""
        known = self.score.effective
        return self.strength if known is None or math.isclose(known, self.strength, rel_tol=SURVIVES) else known


class Curve(NamedTuple):
    """One vector under one metric. `family` is its subject without the strength."""

    family: Subject
    axis: AxisName
    benchmark: str
    metric: str
    points: tuple[Point, ...]
    items: ItemScores | None = None
    sign: int = 1
    """1 where more is better, -1 where less is, 0 where nobody says."""

    @property
    def axis_title(self) -> str:
        """What its slope and its line are over: 'alpha', or 'effective alpha' where rounding took some of it."""
        rounded = any(point.effective != point.strength for point in self.points)
        return "effective " * rounded + strength_name(self.family, self.axis)

    @property
    def pearson(self) -> float | None:
        """Pearson's r of strength and score; None for fewer than three points."""
        return correlation(*self._columns()) if len(self.points) > 2 else None

    @property
    def spearman(self) -> float | None:
        """Spearman's rho of strength and score; None for fewer than three points."""
        return spearman(*self._columns()) if len(self.points) > 2 else None

    @property
    def change(self) -> Estimate:
        """From `start` to the largest strength."""
        return self.change_to(self.points[-1])

    def change_to(self, point: Point) -> Estimate:
        """From `start` to a point."""
        return change_of(self.metric, [(1, point.score), (-1, self.start.score)], self.items)

    def at(self, strength: float) -> Point:
        """The point of a strength. Raises StopIteration when there is none."""
        return next(point for point in self.points if point.strength == strength)

    @property
    def start(self) -> Point:
        """The point nearest to strength 0; the smallest strength when no point lies above that one."""
        nearest = min(self.points, key=lambda point: abs(point.strength))
        return self.points[0] if nearest == self.points[-1] else nearest

    def _columns(self) -> tuple[list[float], list[float]]:
        return [point.effective for point in self.points], [point.score.value for point in self.points]


def curves_of(benchmark: BenchmarkScores, metric: str) -> list[Curve]:
    """The curves of a metric with at least two strengths, in the order of traits and levels."""
    families: dict[tuple[Subject, AxisName], list[Point]] = {}
    for subject, score in benchmark.scores.get(metric, {}).items():
        if axis := axis_of(subject):
            point = Point(strength(getattr(subject, axis)), score, subject)
            families.setdefault((family_of(subject, axis), axis), []).append(point)
    found = [
        Curve(
            family, axis, benchmark.name, metric, tuple(sorted(points, key=itemgetter(0))), benchmark.items,
            benchmark.sign(metric),
        )
        for (family, axis), points in families.items() if len(points) > 1
    ]  # fmt: skip
    return sorted(found, key=lambda curve: (curve.family.arm, *subject_order(curve.family)))


def axis_of(subject: Subject) -> AxisName | None:
    """The strength that a subject has: alpha before gamma; None when it has neither as one number."""
    if math.isfinite(strength(subject.alpha)):
        return "alpha"
    return "gamma" if math.isfinite(strength(subject.gamma)) else None


def family_of(subject: Subject, axis: AxisName) -> Subject:
    """The subject without its strength."""
    return subject._replace(alpha="") if axis == "alpha" else subject._replace(gamma="")


def without_strength(scores: Scores, curves: Iterable[Curve]) -> list[tuple[Subject, Score]]:
    """The subjects of a metric that lie on none of the curves: base, prompts, adapters, single strengths."""
    drawn = {(curve.family, curve.axis) for curve in curves}
    return [
        (subject, score)
        for subject, score in scores.items()
        if (axis := axis_of(subject)) is None or (family_of(subject, axis), axis) not in drawn
    ]


def own_curves(benchmark: BenchmarkScores) -> list[Curve]:
    """Each vector under the metric it is meant to move; under every metric when the benchmark is about no trait."""
    curves = [curve for metric in benchmark.main_metrics for curve in curves_of(benchmark, metric)]
    if not benchmark.about_traits:
        return curves
    return [curve for curve in curves if curve.metric == benchmark.target(curve.family.trait)]


_FAMILY_FIELDS = ("arm", "method", "model", "merge", "alpha", "gamma")


def family_labels(curves: Iterable[Curve]) -> dict[Subject, str]:
    """What tells families of vectors apart beside trait and level, and nothing that all share: '' for the only one."""
    families = list(dict.fromkeys(curve.family for curve in curves))
    varying = [name for name in _FAMILY_FIELDS if len({getattr(family, name) for family in families}) > 1]
    return {
        family: ", ".join(filter(None, (_labelled(family, name, "arm" in varying) for name in varying)))
        for family in families
    }


def _labelled(family: Subject, name: str, by_arm: bool) -> str:
    value = str(getattr(family, name))
    if name == "method":  # an arm has one method, but may have variants of it
        return variant_of(family) or ("" if by_arm else value)
    return f"{strength_name(family, name)} {value}" if value and name in ("alpha", "gamma") else value
