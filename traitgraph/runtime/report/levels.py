"""Which words go with a level: correlations of word categories with high and low, as PersonaLLM has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from traitgraph.specs.traits import LEVELS

from ..assessment.lexicon import WORDS
from .comparisons import shaded_cell, shaded_table
from .markup import Markup, element, join
from .statistics import pearson
from .summaries import BenchmarkScores, Scores, Subject, strength

FEWEST = 2
"""Subjects at each level without which a correlation is 1 or -1, or is none."""

NOTE = (
    "Point-biserial correlation (Pearson's r, high counting 1 and low 0) of a category's mean share with the level, "
    "over the n subjects of an arm and trait; strengths of 0 and below are left out. Strengths of one vector are no "
    "independent subjects, so nothing here is a test."
)

Group = tuple[str, str, str, str]
Pairs = Mapping[Group, list[tuple[float, float]]]


def levels_section(benchmarks: Iterable[BenchmarkScores]) -> Markup | None:
    """A table for each benchmark of words, conditions against categories; None where there is nothing to correlate."""
    tables = [table for each in benchmarks if each.kind == "words" and (table := _table(each)) is not None]
    return join([*tables, element("p", NOTE, class_="note")]) if tables else None


def _table(benchmark: BenchmarkScores) -> Markup | None:
    columns = {metric: _pairs(benchmark.scores[metric]) for metric in benchmark.main_metrics}
    groups = {group: len(pairs) for group, pairs in columns[WORDS].items() if _enough(pairs)}
    if not groups:
        return None
    rows = [[shaded_cell(_correlation(pairs.get(group, []))) for pairs in columns.values()] for group in groups]
    names = [f"{' '.join(filter(None, group))}, n = {count}" for group, count in groups.items()]
    return join([element("h3", benchmark.name), shaded_table(list(columns), names, rows)])


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    return pearson([level for level, _ in pairs], [score for _, score in pairs]) if _enough(pairs) else None


def _pairs(scores: Scores) -> Pairs:
    """Arm, model (of several), merge and trait -> level (1 or 0) and score of each subject pushed towards it."""
    several = len({subject.model for subject in scores}) > 1
    found: dict[Group, list[tuple[float, float]]] = {}
    for subject, score in scores.items():
        if subject.trait and subject.level in LEVELS and _is_pushed(subject):
            group = (subject.arm, subject.model if several else "", subject.merge, subject.trait)
            found.setdefault(group, []).append((float(subject.level == "high"), score.value))
    return found


def _is_pushed(subject: Subject) -> bool:
    return all(strength(text) > 0 for text in (subject.alpha, subject.gamma) if text)


def _enough(pairs: Sequence[tuple[float, float]]) -> bool:
    high = sum(level for level, _ in pairs)
    return min(high, len(pairs) - high) >= FEWEST
