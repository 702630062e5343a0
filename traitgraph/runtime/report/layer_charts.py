"""Cosine of a subject's hidden states with the base's against the layer: one panel a trait, one line a level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from traitgraph.runtime.assessment.layer_similarity import LAYER
from traitgraph.specs.study.traits import LEVELS

from .charts import Chart, Line, Mark, Panel, Range, padded
from .curves import axis_of
from .labels import arm_name, axis_title, plain, spread_note, strength_name, variant_of, with_spread
from .summaries import BenchmarkScores, Score, Subject, strength, subject_order

Layers = Mapping[int, Score]


def layer_charts(benchmark: BenchmarkScores) -> list[Chart]:
    """A chart for each arm, model and merge, at the largest strength where there are several; none for other kinds."""
    if benchmark.kind != "layers":
        return []
    strongest = _strongest(benchmark)
    several = len({subject.model for subject in strongest}) > 1
    groups: dict[str, dict[Subject, Layers]] = {}
    for subject, layers in strongest.items():
        axis = axis_of(subject)
        at = f"{strength_name(subject, axis)} {plain(strength(getattr(subject, axis)))}" if axis else ""
        parts = (benchmark.name, subject.arm, variant_of(subject), subject.model if several else "", subject.merge, at)
        groups.setdefault(" · ".join(filter(None, parts)), {})[subject] = layers
    return [_chart(benchmark, title, of) for title, of in groups.items()]


def _strongest(benchmark: BenchmarkScores) -> dict[Subject, Layers]:
    """Subjects with a trait and a level, of each family the one with the largest strength -> score by layer."""
    found: dict[Subject, Subject] = {}
    for subject in next(iter(benchmark.scores.values())):
        if subject.trait and subject.level in LEVELS:
            family = subject._replace(alpha="", gamma="")
            found[family] = max(found.get(family, subject), subject, key=_push)
    return {subject: dict(_layers(benchmark, subject)) for subject in sorted(found.values(), key=subject_order)}


def _push(subject: Subject) -> tuple[float, float]:
    return strength(subject.gamma), strength(subject.alpha)


def _layers(benchmark: BenchmarkScores, subject: Subject) -> Iterator[tuple[int, Score]]:
    for metric, scores in benchmark.scores.items():
        if subject in scores:
            yield int(metric.removeprefix(LAYER)), scores[subject]


def _chart(benchmark: BenchmarkScores, title: str, subjects: Mapping[Subject, Layers]) -> Chart:
    scores = [score for layers in subjects.values() for score in layers.values()]
    reach = [score.value + sign * (score.half or 0) for score in scores for sign in (-1, 1)]
    x_range = padded([float(layer) for layers in subjects.values() for layer in layers], 0.04)
    y_range = padded([1.0, *reach], 0.06)
    traits = dict.fromkeys(subject.trait for subject in subjects)
    panels = tuple(_panel(benchmark, trait, subjects, x_range, y_range) for trait in traits)
    return Chart(title, title, panels, spread_note(scores, "rows"))


def _panel(
    benchmark: BenchmarkScores, trait: str, subjects: Mapping[Subject, Layers], x_range: Range, y_range: Range
) -> Panel:
    lines = tuple(_line(subject, layers) for subject, layers in subjects.items() if subject.trait == trait)
    y_title = axis_title(benchmark, LAYER)
    return Panel(trait, "after block", y_title, lines, (), x_range, y_range, x_notes={})


def _line(subject: Subject, layers: Layers) -> Line:
    return Line(
        f"{arm_name(subject)} {subject.level}",
        subject.level,
        tuple(_mark(subject.level, *each) for each in layers.items()),
    )


def _mark(level: str, layer: int, score: Score) -> Mark:
    value = with_spread(score.value, score.half)
    return Mark(layer, score.value, score.half, f"{level}, block {layer}: {value}")
