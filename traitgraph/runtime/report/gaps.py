"""High minus low under conditions without a strength: does a prompt (or an adapter) separate the two levels?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from .changes import change_between
from .curves import own_curves, without_strength
from .findings import CLEAR
from .summaries import BenchmarkScores, Score, Subject, subject_order


class Gap(NamedTuple):
    """One condition at both levels under its own trait."""

    condition: Subject
    """The subject without its level."""
    benchmark: str
    metric: str
    value: float
    stderr: float | None

    @property
    def verdict(self) -> Literal["moves", "reversed", "unclear", "null"]:
        """Whether high scores clearly above low (`moves`), clearly below (`reversed`), or neither."""
        if self.stderr is None:
            return "unclear"
        if abs(self.value) < CLEAR * self.stderr or self.value == 0:
            return "null"
        return "moves" if self.value > 0 else "reversed"


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
    change = change_between(metric, scores["low"], scores["high"], benchmark.items)
    return Gap(condition, benchmark.name, metric, *change)
