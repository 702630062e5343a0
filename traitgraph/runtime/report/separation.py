"""High against low: whether a condition tells its levels apart, shifts both the same way, or does neither.

A score that rises under the high and under the low level says nothing about the trait: the verdict is on their gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from traitgraph.runtime.results.statistics import ERROR, Estimate
from traitgraph.runtime.results.subjects import Subject, strength, subject_order
from traitgraph.runtime.results.summaries import BenchmarkScores, Score

from .curves import Curve, axis_of, change_of, family_of, own_curves, slope_of, without_strength
from .validity import failing

FEWEST = 5
"""Items (pairs of replies, questions) below which nothing is judged: the spread of so few is hardly known itself."""
SHORTEST_SCALE = 4
"""The same for a questionnaire, whose items are a fixed scale: the shortest in use (Mini-IPIP) has four."""
SHARE_OF_SCALE = 1 / 16
"""Margin of equivalence of a questionnaire, a share of its scale: a quarter point of 1 to 5. Ours, as the next two.

About half of the standard deviation between people (IPIP-NEO norms: 0.40 to 0.69 points).
"""
NATS, CORRECT = 0.1, 0.05
"""Margins of equivalence of a reply contrast [nats per token], and of a share of right answers."""

Lack = Literal["few", "same", "failed", "missing"]
TaskVerdict = Literal["suffers", "holds", "floor", "few", "inconclusive"]
Verdict = Literal["moves", "shifts", "reversed", "shared", "null"] | Lack | TaskVerdict


class Finding(NamedTuple):
    """What is known of one condition at both levels, of a level without its opposite, or of a vector under a task."""

    subject: Subject
    """Whose it is; without a level where both are judged, without a strength where there are several."""
    metric: str
    change: Estimate
    """High minus low at the judged strength; of a level alone its change from its start; of a task to its worst point.
    """
    scores: tuple[Score, ...] = ()
    """The scores that are judged: high and low, or one alone."""
    curves: tuple[Curve, ...] = ()
    """Where there are several strengths."""
    at: float = 0.0
    """The strength where it is judged, where there are several."""
    sign: float = 1.0
    """-1 where the change should be negative: a low level alone, a strength below 0."""
    shifts: tuple[Estimate, Estimate] | None = None
    """Changes of high and low from where they begin, where that is known."""
    slope: Estimate | None = None
    """How the change grows with the strength; None below three strengths."""
    margin: float | None = None
    """The change below which two scores count as equal; None where none is stated."""
    lack: Lack | None = None
    """Why nothing can be judged."""
    faults: tuple[str, ...] = ()
    """Validity checks that one of the subjects fails."""
    task: TaskVerdict | None = None
    """The verdict on a task, but for its correction."""
    p: float | None = None
    """p of no change; None where nothing is tested. Corrected for all verdicts of the arm once all are known."""
    family: int = 1
    """How many verdicts p is corrected for."""

    @property
    def verdict(self) -> Verdict:
        """Clear in the right direction, clear in the other, the same way under both levels, equal, or neither."""
        if self.lack is not None:
            return self.lack
        clear = self.p is not None and self.p < ERROR
        if self.task is not None:
            return "inconclusive" if self.task == "suffers" and not clear else self.task
        high, low = self.shifts or (Estimate(0), Estimate(0))
        error = ERROR if clear else ERROR / self.family
        if high.is_clear(error) and low.is_clear(error) and high.value * low.value > 0:
            return "shared"
        if self.change.excludes(self.margin):
            return "null"
        # The change must grow with its strength; below strength 0 a rising slope means a fall.
        grows = -1 if self.at < 0 else 1
        follows = self.slope is None or (self.slope.is_clear() and self.slope.value * self.change.value * grows > 0)
        if not (clear and follows):
            return "inconclusive"
        if self.change.value * self.sign < 0:
            return "reversed"
        return "moves" if self.is_pair else "shifts"

    @property
    def is_pair(self) -> bool:
        """Whether both levels are judged together."""
        return self.task is None and not self.subject.level and len(self.scores) != 1

    @property
    def is_sound(self) -> bool:
        """Whether it moved as intended, and all checks of its subjects hold."""
        return self.verdict in ("moves", "shifts") and not self.faults

    @property
    def detectable(self) -> float | None:
        """The smallest true change that would be found with 80 % power, at the strictest correction of its family."""
        return None if self.lack else self.change.detectable(ERROR / self.family)


def gaps_of(benchmark: BenchmarkScores) -> list[Finding]:
    """What is judged under a benchmark about traits, each under its own trait: over a strength, then without one.

    A condition whose answers cannot be used, or that is not there, is among them.
    """
    curves, lacks = own_curves(benchmark), lacking(benchmark)
    return [*_over_strengths(benchmark, curves, lacks), *_without_strengths(benchmark, curves, lacks)]


def margin_of(benchmark: BenchmarkScores) -> float | None:
    """The difference below which a benchmark's scores count as equal; None where none is stated."""
    if benchmark.kind == "reply_contrast":
        return NATS
    if benchmark.kind == "questionnaire":
        return None if benchmark.scale is None else (benchmark.scale[1] - benchmark.scale[0]) * SHARE_OF_SCALE
    shares = [score.value for scores in benchmark.scores.values() for score in scores.values()]
    return CORRECT if all(0 <= value <= 1 for value in shares) else None


def lacking(benchmark: BenchmarkScores) -> dict[Subject, Lack]:
    """Subjects with a level whose own trait has no score, and why."""
    groups = (*benchmark.rows.values(), *benchmark.validity.values())
    measured: dict[Subject, Lack] = {subject: "failed" for found in groups for subject in found}
    lacks: dict[Subject, Lack] = {**dict.fromkeys(benchmark.missing, "missing"), **measured}
    asked = benchmark.scores or benchmark.words.traits
    return {
        subject: lack
        for subject, lack in lacks.items()
        if subject.level and subject.trait in asked and subject not in benchmark.scores.get(subject.trait, {})
    }


def too_few(score: Score) -> bool:
    """Whether a score rests on too few items for a verdict."""
    return score.n is not None and score.n < (FEWEST if score.by_repeat is None else SHORTEST_SCALE)


def _over_strengths(benchmark: BenchmarkScores, curves: Sequence[Curve], lacks: dict[Subject, Lack]) -> list[Finding]:
    by_family = {curve.family: curve for curve in curves}
    absent = {(family_of(subject, axis), axis): lack for subject, lack in lacks.items() if (axis := axis_of(subject))}
    found = []
    for curve in curves:
        level, words = curve.family.level, benchmark.words
        sign = words.sign(level) if level in words.levels else 1
        mirrored = [each for each in words.levels if sign and words.levels[each] == -words.levels.get(level, 2)]
        opposites = [curve.family._replace(level=each) for each in mirrored]
        opposite = next((each for each in opposites if each in by_family or (each, curve.axis) in absent), None)
        other = by_family.get(opposite) if opposite else None
        shared = {point.strength for point in curve.points} & {point.strength for point in (other or curve).points}
        if other is None or not any(shared):  # at strength 0 both are the base
            lack = absent.get((opposite, curve.axis)) if opposite else None
            found += [_level(benchmark, curve, sign, lack)] if sign else []  # the middle has no direction to be judged
        elif sign > 0:
            found.append(_pair(benchmark, curve, other, shared))
    return sorted(found, key=lambda finding: not finding.is_pair)


def _pair(benchmark: BenchmarkScores, high: Curve, low: Curve, strengths: set[float]) -> Finding:
    """Both levels of a vector: at the largest strength, or where none lies above 0 at the smallest."""
    at = max(strengths) if max(strengths) > 0 else min(strengths)
    points = high.at(at), low.at(at)
    lines = [
        (sign, point.effective, point.score)
        for sign, curve in ((1.0, high), (-1.0, low)) for point in curve.points if point.strength in strengths
    ]  # fmt: skip
    scores = points[0].score, points[1].score
    return _finding(benchmark, high.family._replace(level=""), high.metric, scores)._replace(
        curves=(high, low),
        at=at,
        sign=math.copysign(1, at),
        shifts=(high.change_to(points[0]), low.change_to(points[1])),
        slope=slope_of(high.metric, lines, benchmark.items),
        faults=failing(benchmark, *(point.subject for point in points)),
    )


def _level(benchmark: BenchmarkScores, curve: Curve, sign: int, lack: Lack | None) -> Finding:
    """A vector whose opposite level was not measured: up for a level above the middle, down for one below."""
    last = curve.points[-1]
    finding = _finding(benchmark, curve.family, curve.metric, (last.score,), curve.change)
    return finding._replace(
        curves=(curve,),
        at=last.strength,
        sign=float(sign),
        slope=slope_of(curve.metric, [(1.0, each.effective, each.score) for each in curve.points], curve.items),
        lack=lack or finding.lack,
        faults=failing(benchmark, last.subject),
    )


def _without_strengths(
    benchmark: BenchmarkScores, curves: Sequence[Curve], lacks: dict[Subject, Lack]
) -> list[Finding]:
    """Conditions that were to be there at both levels: prompts, adapters, single strengths."""
    drawn = {curve.family._replace(level="") for curve in curves}
    levels: dict[Subject, dict[str, Score | Lack]] = {}
    for metric in benchmark.main_metrics:
        for subject, score in without_strength(benchmark.scores[metric], curves):
            axis = axis_of(subject)
            at_base = axis is not None and strength(getattr(subject, axis)) == 0  # alone on its curve: others failed
            if subject.trait == metric and subject.level and not at_base:
                levels.setdefault(subject._replace(level=""), {})[subject.level] = score
    for subject, lack in lacks.items():
        condition, axis = subject._replace(level=""), axis_of(subject)
        family = family_of(condition, axis) if axis else condition
        if family not in drawn:
            levels.setdefault(condition if condition in levels else family, {}).setdefault(subject.level, lack)
    bases: dict[tuple[str, str, str], list[Score]] = {}
    for metric in benchmark.main_metrics:
        for subject, score in benchmark.scores[metric].items():
            if subject.method == "direct":
                bases.setdefault((metric, subject.model, subject.context), []).append(score)
    found = []
    for condition in sorted(levels, key=lambda each: (each.arm, *subject_order(each, benchmark.words))):
        outermost = _outermost(benchmark, levels[condition])
        match [levels[condition][level] for level in outermost]:
            case Score() as upper, Score() as lower:
                both = {outermost[0]: upper, outermost[1]: lower}
                alike = bases.get((condition.trait, condition.model, condition.context), [])
                found.append(_condition(benchmark, condition, both, alike))
            case (str() as lack, str() | Score()) | (Score(), str() as lack):
                found.append(Finding(condition, condition.trait, Estimate(math.nan), lack=lack))
    return found


def _outermost(benchmark: BenchmarkScores, levels: Iterable[str]) -> tuple[str, ...]:
    """The highest and the lowest of some levels; none where they lie on one side of the middle."""
    known = sorted((each for each in levels if each in benchmark.words.levels), key=benchmark.words.position)
    apart = len(known) > 1 and benchmark.words.sign(known[0]) < benchmark.words.sign(known[-1])
    return (known[-1], known[0]) if apart else ()


def _condition(
    benchmark: BenchmarkScores, condition: Subject, both: Mapping[str, Score], bases: Sequence[Score]
) -> Finding:
    """Both levels of a condition; their shifts are those from the bare model in its context, if measured once."""
    high, low = both.values()
    metric = condition.trait
    finding = _finding(benchmark, condition, metric, (high, low))
    if len(bases) == 1:
        first, second = (change_of(metric, [(1, score), (-1, bases[0])], benchmark.items) for score in (high, low))
        finding = finding._replace(shifts=(first, second))
    return finding._replace(faults=failing(benchmark, *(condition._replace(level=level) for level in both)))


def _finding(
    benchmark: BenchmarkScores, subject: Subject, metric: str, scores: tuple[Score, ...], change: Estimate | None = None
) -> Finding:
    """What two scores tell: the first minus the second; of one score its `change`."""
    if change is None:
        change = change_of(metric, [(1, scores[0]), (-1, scores[1])], benchmark.items)
    lack: Lack | None = "few" if any(map(too_few, scores)) else None
    return Finding(subject, metric, change, scores, margin=margin_of(benchmark), lack=lack, p=change.p)
