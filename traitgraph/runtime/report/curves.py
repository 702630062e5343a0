"""Score against strength: the subjects of one vector (or one steering) in the order of alpha or gamma.

And how much a score changes from one subject to another: the same items under both, where they are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Literal, NamedTuple

from traitgraph.runtime.assessment.measurement import correlation
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemAnswers, ItemScores
from traitgraph.runtime.results.statistics import Estimate, combined, reweighed, spearman
from traitgraph.runtime.results.subjects import Subject, strength, strength_name, subject_order, variant_of
from traitgraph.runtime.results.summaries import BenchmarkScores, Score, Scores

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
        return correlation(*self._columns) if len(self.points) > 2 else None

    @property
    def spearman(self) -> float | None:
        """Spearman's rho of strength and score; None for fewer than three points."""
        return spearman(*self._columns) if len(self.points) > 2 else None

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

    @property
    def _columns(self) -> tuple[list[float], list[float]]:
        return [point.effective for point in self.points], [point.score.value for point in self.points]


def curves_of(benchmark: BenchmarkScores, metric: str) -> list[Curve]:
    """The curves of a metric with at least two strengths, in the order of traits and levels."""
    families: dict[tuple[Subject, AxisName], list[Point]] = {}
    for subject, score in benchmark.scores.get(metric, {}).items():
        if axis := axis_of(subject):
            point = Point(strength(getattr(subject, axis)), score, subject)
            families.setdefault((family_of(subject, axis), axis), []).append(point)
    items, sign = benchmark.items, benchmark.sign(metric)
    found = [
        Curve(family, axis, metric, tuple(sorted(points, key=itemgetter(0))), items, sign)
        for (family, axis), points in families.items()
        if len(points) > 1
    ]
    return sorted(found, key=lambda curve: (curve.family.arm, *subject_order(curve.family, benchmark.words)))


def axis_of(subject: Subject) -> AxisName | None:
    """The strength that a subject has: alpha before gamma; None when it has neither as one number."""
    if math.isfinite(strength(subject.alpha)):
        return "alpha"
    return "gamma" if math.isfinite(strength(subject.gamma)) else None


def family_of(subject: Subject, axis: AxisName) -> Subject:
    """The subject without its strength."""
    return subject._replace(**{axis: ""})


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
    return [curve for curve in curves if not benchmark.about_traits or curve.metric == curve.family.trait]


_FAMILY_FIELDS = ("arm", "method", "model", "merge", "alpha", "gamma", "context")


def family_labels(curves: Iterable[Curve]) -> dict[Subject, str]:
    """What tells families of vectors apart beside trait and level, and nothing that all share: '' for the only one."""
    families = list(dict.fromkeys(curve.family for curve in curves))
    varying = [name for name in _FAMILY_FIELDS if len({getattr(family, name) for family in families}) > 1]

    def labelled(family: Subject, name: str) -> str:
        value = str(getattr(family, name))
        if name == "method":  # an arm has one method, but may have variants of it
            return variant_of(family._replace(context="")) or ("" if "arm" in varying else value)
        return f"{strength_name(family, name)} {value}" if value and name in ("alpha", "gamma") else value

    return {family: ", ".join(filter(None, (labelled(family, name) for name in varying))) for family in families}


Terms = Sequence[tuple[float, Score]]
"""Weights of scores that are added up: 1 and -1 for a difference, those of a regression for a slope."""


def change_of(metric: str, terms: Terms, items: ItemScores | None) -> Estimate:
    """The weighted sum of scores under one metric, item by item where all of them have answers to the same items.

    Otherwise, and where the metric is no mean over items, the scores count as independent. Seeds add their own error.
    """
    value = math.fsum(weight * score.value for weight, score in terms)
    found = _by_item(metric, terms, items, value) if items else None
    if found is None:
        return combined(
            value, [(score.stderr and abs(weight) * score.stderr, score.freedom) for weight, score in terms]
        )
    seeds = [(abs(weight) * score.over_seeds[0], score.over_seeds[1]) for weight, score in terms if score.over_seeds]
    return combined(found.value, [found[1:], *seeds])


def slope_of(metric: str, points: Sequence[tuple[float, float, Score]], items: ItemScores | None) -> Estimate | None:
    """The slope of a score over its strength; `points` are (sign, strength, score), each sign a line of its own.

    Their slopes are added with their signs: that of a gap is the slope of high minus that of low.
    None below three strengths.
    """
    terms: list[tuple[float, Score]] = []
    for sign in dict.fromkeys(sign for sign, _, _ in points):
        line = [(strength, score) for each, strength, score in points if each == sign]
        centre = math.fsum(strength for strength, _ in line) / len(line)
        squares = math.fsum((strength - centre) ** 2 for strength, _ in line)
        if len(line) < 3 or not squares:
            return None
        terms += [(sign * (strength - centre) / squares, score) for strength, score in line]
    return change_of(metric, terms, items)


def _by_item(metric: str, terms: Terms, items: ItemScores, value: float) -> Estimate | None:
    """The sum over items that all scores have; None for other items, or where the metric is no mean over them.

    `value` is what the scores themselves add up to.
    """
    forms = [[items.of(job) for job in score.jobs] for _, score in terms]
    known = [form.get(metric, {}) for jobs in forms for form in jobs]
    if not all(known) or any(each.keys() != known[0].keys() for each in known):
        return None
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    sizes: list[int] = []
    for trait, answers in forms[0][0].items():
        for item, answer in answers.items():
            total = _total(trait, item, terms, forms) if answer.keyed or trait == metric else None
            if total is not None:  # a reversed item is turned back, so that agreement has one sign
                found.setdefault((trait, answer.keyed), []).append(((answer.keyed or 1) * total, answer.weight))
                sizes += [len(answer.values)] * (not answer.keyed)
    shifts = {cell: reweighed(*zip(*each, strict=True)) for cell, each in found.items()}
    plain = shifts.get((metric, 0))
    if plain is None:
        # Without items keyed the other way a shift of every answer cannot be told from one of the trait.
        return keyed_contrast(shifts, metric) or Estimate(value)
    asked_once = all(score.by_repeat is None for _, score in terms)
    change = Estimate.over(plain, sizes if asked_once else ())  # a document that tasks share has a value of each
    return None if asked_once and not math.isclose(change.value, value, abs_tol=1e-6) else change


def _total(metric: str, item: str, terms: Terms, forms: Sequence[Sequence[ItemAnswers]]) -> float | None:
    """The weighted sum of the values of an item, each the mean over seeds; None if some subject did not answer it."""
    total = 0.0
    for (weight, _), jobs in zip(terms, forms, strict=True):
        answers = [form.get(metric, {}).get(item) for form in jobs]
        values = [answer.value for answer in answers if answer is not None and answer.value is not None]
        if not values:
            return None
        total += weight * math.fsum(values) / len(values)
    return total


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
