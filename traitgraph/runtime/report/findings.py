"""What moved and what did not, by stated rules. Nothing here knows an expected result.

The rules are in the constants here, in `separation` and in `statistics`, and in `RULES`, which the report prints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from traitgraph.runtime.results.statistics import ERROR, POWER, Estimate, holm
from traitgraph.runtime.results.subjects import Subject
from traitgraph.runtime.results.summaries import BenchmarkScores, Score

from .curves import Curve, Point, own_curves
from .manipulation import EXCLUDED_SHARE, SAME_SHARE, Alike, conditions_alike, without_push
from .separation import (
    CORRECT,
    FEWEST,
    NATS,
    SHARE_OF_SCALE,
    SHORTEST_SCALE,
    Finding,
    TaskVerdict,
    gaps_of,
    lacking,
    margin_of,
    too_few,
)

SPECIFIC, UNSPECIFIC = 0.25, 0.75
"""Largest change of another trait over the change of the own one: our words for a quarter and for three quarters."""

NO_SHARES = frozenset({"f1", "mcc", "likelihood", "brier_score"})
"""Metrics of lm-eval's multiple-choice tasks that are no share of right answers."""

FEWEST_TO_EXCLUDE = math.ceil(math.log(ERROR) / math.log(1 - CORRECT))
"""Questions below which a loss of the margin leaves all answers as they are in 5 % of cases or more."""

RULES = (
    "The unit is the item (a pair of replies, a question, a document): differences of the same items between two "
    "subjects are tested, by Student's t; with several seeds their spread is added. "
    "A document that several tasks of a group ask of counts once. Of a questionnaire answered by "
    "letter the expected answer counts, otherwise the mean over repeats; items that fewer than half of the repeats "
    "answered are left out. Repeats are no observations of a trait: they tell how far answers are drawn apart. "
    "± is half of the 95 % interval everywhere. "
    "A condition is judged by its gap: the upper level minus the lower, a vector or steering at its largest strength. "
    "Of a questionnaire the gap is half the difference between items keyed + and items keyed −, in which a shift of "
    "every answer cancels; "
    "its scatter is that of all items of the form about the mean of their trait and keying, or that of the trait's own "
    "items where it is larger. "
    f"It moves as intended where p < {ERROR:g} on both sides, corrected by Holm for all gaps and levels of its arm, "
    "over traits and benchmarks, and, from three strengths on, the slope over the strength (where rounding "
    "took 1 % of it or more, over the effective one, as lines are drawn) is clear too. "
    "Where both levels change clearly from strength 0 (or the weakest there is; a prompt: from the base model) and in "
    "the same direction, the report says so, whatever the gap. "
    "A level without its opposite is judged by its own change, which may be a shift of every answer. "
    f"A null is a shown one: a gap of the margin or more is excluded by two one-sided tests (p < {ERROR:g}); "
    f"margins are ours: {SHARE_OF_SCALE:.2%} of a questionnaire's scale, {NATS:g} nats per token, {CORRECT:.0%} of the "
    "answers. "
    "Everything else is inconclusive, and stands beside the smallest effect that the test would find with a power of "
    f"{POWER:.0%} at the level of the most strictly corrected verdict. "
    "A task suffers when its worst point (by the task's own `higher_is_better`) is worse than its starting point "
    f"(p < {ERROR:g} on one side, corrected for the strengths and by Holm for all tasks of the arm); there is no loss "
    "when a loss of the margin is excluded at every strength, which takes "
    f"{FEWEST_TO_EXCLUDE} questions or more; and a score that does not start clearly above guessing cannot show one. "
    f"Fewer than {FEWEST} items (pairs of replies, questions) get no verdict; a questionnaire needs {SHORTEST_SCALE} a "
    "trait. Conditions whose answers cannot be used, or that are not there, count in every total. "
    "Conditions of an arm do not differ where their answers vary between them no more than between repeats of one "
    f"(F test over items, p {ERROR:g} or more, or less than {SAME_SHARE:.0%} of the variance of an answer) and "
    f"{EXCLUDED_SHARE:.0%} of that variance are excluded; where they are not, they are only indistinguishable. "
    f"An effect is specific when no other trait changes by {SPECIFIC:.0%} as much, and not specific from "
    f"{UNSPECIFIC:.0%} on."
)


class Findings(NamedTuple):
    """Everything that is judged under one benchmark."""

    benchmark: BenchmarkScores
    found: list[Finding]
    same: list[Alike]
    """Sets of conditions between which no difference is seen."""

    @property
    def lost(self) -> list[Subject]:
        """Subjects without a usable answer: under their own trait, or under every metric of a task."""
        if self.benchmark.about_traits:
            return [subject for subject, lack in lacking(self.benchmark).items() if lack == "failed"]
        scored = {subject for scores in self.benchmark.scores.values() for subject in scores}
        measured = dict.fromkeys(subject for rows in self.benchmark.rows.values() for subject in rows)
        return [subject for subject in measured if subject not in scored]

    @property
    def over_strengths(self) -> list[Finding]:
        """What has a strength."""
        return [each for each in self.found if each.curves]

    @property
    def without_strength(self) -> list[Finding]:
        """What has none."""
        return [each for each in self.found if not each.curves]


def judge(benchmarks: Sequence[BenchmarkScores]) -> list[Findings]:
    """The verdicts on every benchmark, corrected for all of the same arm; where conditions do not differ, that."""
    judged = []
    for benchmark, found in zip(benchmarks, corrected([findings_of(each) for each in benchmarks]), strict=True):
        differ = {each.subject for each in found if each.verdict in ("moves", "shifts", "reversed", "shared")}
        same = [each for each in conditions_alike(benchmark) if each.conditions.isdisjoint(map(without_push, differ))]
        alike = frozenset[Subject]().union(*(each.conditions for each in same if each.test.excludes_differences))
        named = [
            each._replace(lack="same") if each.lack is None and without_push(each.subject) in alike else each
            for each in found
        ]
        judged.append(Findings(benchmark, named, same))
    return judged


def corrected(groups: Sequence[Sequence[Finding]]) -> list[list[Finding]]:
    """Findings by benchmark, with p corrected by Holm: one family for the traits of an arm, one for its tasks."""
    families: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for place, group in enumerate(groups):
        for number, each in enumerate(group):
            if each.lack is None and each.p is not None:
                arm = each.subject.arm or each.subject.method
                families.setdefault((arm, each.task is None), []).append((place, number))
    results = [list(group) for group in groups]
    for members in families.values():
        values = holm([groups[place][number].p or 0.0 for place, number in members])
        for (place, number), p in zip(members, values, strict=True):
            results[place][number] = groups[place][number]._replace(p=p, family=len(members))
    return results


def findings_of(benchmark: BenchmarkScores) -> list[Finding]:
    """What is found on a benchmark, each under the metric that is meant to move; p values are not corrected yet.

    None where more is neither better nor worse.
    """
    if benchmark.about_traits:
        return gaps_of(benchmark)
    if benchmark.kind != "task":
        return []
    found, margin = [], margin_of(benchmark)
    for curve in own_curves(benchmark):
        if curve.sign:
            lowest = lowest_point(curve)
            verdict, p = judge_task(curve, chance_of(benchmark, curve.metric), margin)
            change, scores = curve.change_to(lowest), (curve.start.score, lowest.score)
            finding = Finding(curve.family, curve.metric, change, scores, (curve,), lowest.strength, margin=margin)
            found.append(finding._replace(task=verdict, p=p))
    return found


def judge_task(
    curve: Curve, chance: float | None = None, margin: float | None = None
) -> tuple[TaskVerdict, float | None]:
    """Whether the lowest point of a task lies clearly below its starting point, and with which p.

    `floor` where it could not; `holds` where a loss of the margin is excluded at every strength.
    """
    start, lowest = curve.start.score, lowest_point(curve)
    others = [point for point in curve.points if point is not curve.start]
    if too_few(start) or too_few(lowest.score):
        return "few", None
    loss = curve.change_to(lowest)
    p: float | None = None
    if loss.p is not None:
        one_side = loss.p / 2 if loss.value * curve.sign < 0 else 1 - loss.p / 2
        p = min(1.0, len(others) * one_side)
        if p < ERROR:
            return "suffers", p
    if start.stderr is None or lowest.score.stderr is None:
        return "inconclusive", p
    if chance is not None and curve.sign > 0:
        # What does not lie clearly above guessing knows nothing, and has nothing to lose.
        spread = Estimate(0.0, _own_error(start), start.freedom).half or 0.0
        if spread > start.value - chance:
            return "floor", p
    return "holds" if all(_excludes_loss(curve, point, margin) for point in others) else "inconclusive", p


def _excludes_loss(curve: Curve, point: Point, margin: float | None) -> bool:
    """Whether a loss of `margin`, a share of right answers, is excluded: on one side, as a gain is no loss.

    So few questions exclude none, though all answers stay: a loss of the margin would often hit none of them.
    """
    n = min(curve.start.score.n or 0, point.score.n or 0)
    if margin is None or n < FEWEST_TO_EXCLUDE:
        return False
    change = curve.change_to(point)
    return change._replace(value=0.0).excludes(margin + change.value * curve.sign)


def lowest_point(curve: Curve) -> Point:
    """The worst point: that with the lowest score, or where less is better, with the highest."""
    return min(curve.points, key=lambda point: point.score.value * curve.sign)


def smallest_loss(finding: Finding) -> float | None:
    """The smallest loss that would be found with 80 % power; None without a standard error.

    By the standard errors of the scores where no answer changed: that gives the change no error.
    """
    error = 2 * ERROR / finding.family / max(1, len(finding.curves[0].points) - 1)
    errors = [known for score in finding.scores if (known := _own_error(score))]
    if finding.change.stderr or not errors:
        return finding.change.detectable(error)
    return Estimate(0.0, max(errors), finding.scores[0].freedom).detectable(error)


def _own_error(score: Score) -> float | None:
    """The standard error; where all answers are right, or all wrong, that of one answer that is not."""
    return 1 / score.n if score.stderr == 0 and score.value in (0, 1) and score.n else score.stderr


def chance_of(benchmark: BenchmarkScores, metric: str) -> float | None:
    """What guessing scores, where the benchmark tells it; it is told as a share of right answers."""
    known = list(benchmark.validity.get("chance", {}).values())
    return known[0].value if known and NO_SHARES.isdisjoint(metric.split(".")) else None
