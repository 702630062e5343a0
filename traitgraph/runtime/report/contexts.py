"""The same subject in several contexts: how far its scores lie apart, and what each context changes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from traitgraph.runtime.results.subjects import Subject, subject_names
from traitgraph.runtime.results.summaries import BenchmarkScores, Score

from .curves import change_of
from .labels import fixed, unit, with_error
from .markup import Markup, element, join, table

MOST_COMPARED = 20
"""Of a subject in more contexts than this no single context is compared with the first: their spread is told."""
NOTE = (
    "Scores of one subject over its contexts: their mean, their standard deviation, the lowest and the highest. "
    "A change is that from the subject's first context, item by item, ± 95 % interval of each by itself; nothing is "
    "corrected for their number."
)

Group = tuple[Subject, str, list[tuple[Subject, Score]]]
"""A subject without its context, a metric, and the subject in each context with its score."""


def contexts_section(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    """Two tables for each benchmark; None where no subject stands in several contexts."""
    parts = [part for each in benchmarks if (groups := list(_groups(each))) for part in _tables(each, groups)]
    return join([element("p", NOTE, class_="note"), *parts]) if parts else None


def _groups(benchmark: BenchmarkScores) -> Iterator[Group]:
    for metric in benchmark.main_metrics:
        found: dict[Subject, list[tuple[Subject, Score]]] = {}
        for subject, score in benchmark.scores[metric].items():
            found.setdefault(subject._replace(context=""), []).append((subject, score))
        yield from ((bare, metric, scores) for bare, scores in found.items() if len(scores) > 1)


def _tables(benchmark: BenchmarkScores, groups: Sequence[Group]) -> Iterator[Markup]:
    names = subject_names(bare for bare, _, _ in groups)
    spreads, changes = [], []
    for bare, metric, scores in groups:
        values = [score.value for _, score in scores]
        ends = [scores[values.index(end)] for end in (min(values), max(values))]
        told = [f"{fixed(score.value)} ({subject.context})" for subject, score in ends]
        spreads.append([names[bare], metric, f"{len(values):,}", fixed(fmean(values)), fixed(stdev(values)), *told])
        (first, start), *others = scores if len(scores) <= MOST_COMPARED else scores[:1]
        for subject, score in others:
            change = change_of(metric, [(1, score), (-1, start)], benchmark.items)
            changes.append([names[bare], metric, subject.context, first.context, with_error(change)])
    yield element("h3", f"{benchmark.name} [{of}]" if (of := unit(benchmark)) else benchmark.name)
    head = ["subject", "measure", "contexts", "mean", "SD", "lowest", "highest"]
    yield table(head, spreads, numbers=range(2, len(head)))
    if changes:
        yield table(["subject", "measure", "context", "from", "change ± 95 % interval"], changes, numbers=[4])
