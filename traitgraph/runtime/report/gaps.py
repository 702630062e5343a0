"""High minus low under conditions without a strength: does a prompt (or an adapter) separate the two levels?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .changes import Change, change_between
from .curves import own_curves, without_strength
from .separation import Judged, judge_gap
from .summaries import BenchmarkScores, Score, Subject, subject_order


class Gap(NamedTuple):
    """One condition at both levels under its own trait."""

    condition: Subject
    """The subject without its level."""
    metric: str
    change: Change
    """High minus low."""
    n: int | None
    """Items behind each score."""
    verdict: Judged


def gaps_of(benchmark: BenchmarkScores) -> list[Gap]:
    """The gap of every condition that a benchmark has at both levels; none where it is about no trait."""
    if not benchmark.about_traits:
        return []
    levels: dict[tuple[Subject, str], dict[str, Score]] = {}
    curves = own_curves(benchmark)
    for metric in benchmark.main_metrics:
        for subject, score in without_strength(benchmark.scores[metric], curves):
            if subject.trait == metric and subject.level:
                levels.setdefault((subject._replace(level=""), metric), {})[subject.level] = score
    gaps = [_gap(benchmark, *which, scores) for which, scores in levels.items() if {"high", "low"} <= scores.keys()]
    return sorted(gaps, key=lambda gap: (gap.condition.arm, *subject_order(gap.condition)))


def _gap(benchmark: BenchmarkScores, condition: Subject, metric: str, scores: Mapping[str, Score]) -> Gap:
    high, low = scores["high"], scores["low"]
    change = change_between(metric, low, high, benchmark.items)
    base = _base(benchmark, metric, condition.model)
    shifts = None
    if base is not None:
        shifts = (
            change_between(metric, base, high, benchmark.items),
            change_between(metric, base, low, benchmark.items),
        )
    return Gap(condition, metric, change, high.n, judge_gap(change, shifts, (high, low)))


def _base(benchmark: BenchmarkScores, metric: str, model: str) -> Score | None:
    """The score of the bare model, when it was measured once."""
    found = [
        score
        for subject, score in benchmark.scores[metric].items()
        if (subject.method, subject.model) == ("direct", model)
    ]
    return found[0] if len(found) == 1 else None
