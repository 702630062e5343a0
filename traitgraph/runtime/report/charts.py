"""Which charts a study has: small multiples of score against strength, and of conditions without a strength.

A chart is data; `svg` and `figures` draw it, for the page and for files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from traitgraph.specs.study.traits import LEVELS, TRAITS

from .curves import Curve, Point, family_labels, own_curves, without_strength
from .findings import Findings, chance_of
from .labels import (
    arm_name,
    axis_title,
    method_kind,
    number,
    plain,
    single,
    spread_note,
    strength_name,
    subject_name,
    subject_names,
    unit,
    with_spread,
)
from .summaries import BenchmarkScores, Score, Subject, subject_order

MAX_ROWS = 60
"""Conditions beyond this are left to the table: a chart with more rows is not read."""

MOST_TICKS = 12
"""Strengths beyond this are not marked one by one."""

Range = tuple[float, float]


class Mark(NamedTuple):
    """One point of a line."""

    x: float
    y: float
    spread: float | None
    label: str


class Line(NamedTuple):
    """Marks joined in the order of x. `role` decides colour and dashes: a level, 'other', 'direct' or 'chance'."""

    name: str
    role: str
    marks: tuple[Mark, ...]


class Reference(NamedTuple):
    """A level line across the panel."""

    name: str
    role: str
    """'direct' for the base model, the level of a prompt, or 'chance'."""
    y: float


class Panel(NamedTuple):
    """One small multiple: lines over a strength."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    references: tuple[Reference, ...]
    x_range: Range
    y_range: Range
    x_notes: dict[float, str]
    """Strengths with a name: 0 is the base model, 1 the tuned one."""

    @property
    def x_ticks(self) -> list[float]:
        """The strengths that were measured, where they are few and not what rounding left; else round numbers."""
        measured = sorted({mark.x for line in self.lines for mark in line.marks})
        asked = not self.x_title.startswith("effective")
        return measured if asked and len(measured) <= MOST_TICKS else ticks(*self.x_range)


class Bar(NamedTuple):
    """One condition: a dot with its spread."""

    name: str
    role: str
    value: float
    spread: float | None


class DotPanel(NamedTuple):
    """One small multiple: conditions below each other."""

    title: str
    x_title: str
    bars: tuple[Bar, ...]
    x_range: Range


class Chart(NamedTuple):
    """Panels with common axes, and what a reader must know about them."""

    title: str
    name: str
    """Name of its file: unlike `title`, never shared by two charts of a study."""
    panels: tuple[Panel | DotPanel, ...]
    note: str


def strength_charts(benchmark: BenchmarkScores) -> list[Chart]:
    """Score against alpha or gamma: one chart per family of vectors and metric of a task, one panel per trait.

    Of words one chart per family and trait, one panel per category.
    """
    if benchmark.kind == "words":
        return _word_charts(benchmark)
    curves = own_curves(benchmark)
    labels = family_labels(curves)
    groups: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in curves:
        metric = "" if benchmark.about_traits else curve.metric
        groups.setdefault((curve.axis, labels[curve.family], metric), []).append(curve)
    return [
        _strength_chart(benchmark, _title(benchmark, label, metric), of) for (_, label, metric), of in groups.items()
    ]


def _strength_chart(benchmark: BenchmarkScores, title: str, curves: Sequence[Curve]) -> Chart:
    points = [point for curve in curves for point in curve.points]
    x_range = padded([point.effective for point in points], 0.04)
    y_range = _y_range(benchmark, curves)
    panels = tuple(_panel(benchmark, trait, of, x_range, y_range) for trait, of in _by_trait(curves))
    return Chart(title, title, panels, spread_note([point.score for point in points], single(benchmark)))


def _word_charts(benchmark: BenchmarkScores) -> list[Chart]:
    curves = own_curves(benchmark)
    labels = family_labels(curves)
    groups: dict[tuple[str, str, str], dict[str, list[Curve]]] = {}
    for curve in curves:
        group = groups.setdefault((curve.axis, curve.family.trait, labels[curve.family]), {})
        group.setdefault(curve.metric, []).append(curve)
    return [
        _word_chart(benchmark, " · ".join(filter(None, (benchmark.name, trait, label))), of)
        for (_, trait, label), of in groups.items()
    ]


def _word_chart(benchmark: BenchmarkScores, title: str, curves: Mapping[str, Sequence[Curve]]) -> Chart:
    points = [point for of in curves.values() for curve in of for point in curve.points]
    x_range = padded([point.effective for point in points], 0.04)
    panels = tuple(
        _panel(benchmark, of[0].family.trait, of, x_range, _y_range(benchmark, of))._replace(title=metric)
        for metric, of in curves.items()
    )
    return Chart(title, title, panels, spread_note([point.score for point in points], single(benchmark)))


def _title(benchmark: BenchmarkScores, family: str, metric: str) -> str:
    metric = metric if len(benchmark.main_metrics) > 1 or benchmark.kind == "layers" else ""
    return " · ".join(part for part in (benchmark.name, metric, family) if part)


def _by_trait(curves: Iterable[Curve]) -> Iterator[tuple[str, list[Curve]]]:
    ordered = sorted(curves, key=lambda curve: subject_order(curve.family))
    for trait, members in itertools.groupby(ordered, key=lambda curve: curve.family.trait):
        yield trait, list(members)


def _panel(benchmark: BenchmarkScores, trait: str, curves: Sequence[Curve], x_range: Range, y_range: Range) -> Panel:
    first = curves[0]
    return Panel(
        title=trait or first.family.arm,
        x_title=max((curve.axis_title for curve in curves), key=len),
        y_title=axis_title(benchmark, first.metric),
        lines=tuple(_line(curve) for curve in curves),
        references=tuple(_references(benchmark, first.metric, trait, first.family.model)),
        x_range=x_range,
        y_range=y_range,
        x_notes={0.0: "base", 1.0: "tuned"} if first.family.method == "vector" else {},
    )


def _line(curve: Curve) -> Line:
    level = curve.family.level
    marks = tuple(
        Mark(each.effective, each.score.value, each.score.half, _mark_label(curve, each))
        for each in sorted(curve.points, key=lambda point: point.effective)
    )
    return Line(f"{arm_name(curve.family)} {level}".strip(), level if level in LEVELS else "other", marks)


def _mark_label(curve: Curve, point: Point) -> str:
    value = with_spread(point.score.value, point.score.half)
    left = "" if point.effective == point.strength else f" (effective {number(point.effective)})"
    axis = strength_name(curve.family, curve.axis)
    return f"{curve.family.level} {axis} {plain(point.strength)}{left}: {value}".strip()


def _references(benchmark: BenchmarkScores, metric: str, trait: str, model: str) -> Iterator[Reference]:
    """The base model, the prompt of each level when there is exactly one, and chance where the benchmark tells it."""
    scores = {subject: score for subject, score in benchmark.scores[metric].items() if subject.model == model}
    direct = [(subject, score) for subject, score in scores.items() if subject.method == "direct"]
    if direct:
        yield Reference(arm_name(direct[0][0]), "direct", direct[0][1].value)
    for level in LEVELS:
        prompts = [
            (subject, score)
            for subject, score in scores.items()
            if (method_kind(subject), subject.trait, subject.level) == ("prompt", trait, level)
        ]
        if len(prompts) == 1:
            yield Reference(f"{arm_name(prompts[0][0])} {level}", level, prompts[0][1].value)
    chance = chance_of(benchmark, metric)
    if chance is not None:
        yield Reference("chance", "chance", chance)


def condition_chart(benchmark: BenchmarkScores) -> Chart | None:
    """Conditions without a strength, one panel per metric; None when there is nothing beside the base model."""
    curves = own_curves(benchmark)
    conditions = {metric: _conditions(benchmark, metric, curves) for metric in benchmark.main_metrics}
    shown = {metric: found for metric, found in conditions.items() if 0 < len(found) <= MAX_ROWS}
    if not any(subject.method != "direct" for found in shown.values() for subject, _ in found):
        return None
    traits = {subject.trait for found in shown.values() for subject, _ in found}
    if benchmark.about_traits and traits & shown.keys():
        shown = {metric: found for metric, found in shown.items() if metric in traits}
    everything = [score for found in shown.values() for _, score in found]
    own_range = benchmark.kind == "words"  # rare words and frequent ones have no scale in common
    panels = tuple(
        DotPanel(
            metric,
            axis_title(benchmark, metric),
            tuple(_bar(s, score, metric) for s, score in found),
            _value_range(benchmark, [score for _, score in found] if own_range else everything),
        )
        for metric, found in shown.items()
    )
    return Chart(
        benchmark.name,
        f"{benchmark.name} conditions",
        panels,
        " ".join(
            [
                spread_note(everything, single(benchmark)),
                *(["Diamonds: conditions made for another trait."] if any(map(_has_others, panels)) else []),
            ]
        ),
    )


def gap_chart(found: Findings) -> Chart | None:
    """High minus low of everything that is judged at both levels, with its interval; None for nothing."""
    judged = [each for each in found.found if each.is_pair and not math.isnan(each.change.value)][:MAX_ROWS]
    if not judged:
        return None
    named = [
        each.subject._replace(**{each.curves[0].axis: plain(each.at)}) if each.curves else each.subject
        for each in judged
    ]  # fmt: skip
    names = subject_names(named)
    bars = tuple(
        Bar(names[subject], "high" if each.is_sound else "other", each.change.value, each.change.half)
        for subject, each in zip(named, judged, strict=True)
    )
    reach = [bar.value + sign * (bar.spread or 0) for bar in bars for sign in (-1, 1)]
    name = found.benchmark.name
    panel = DotPanel("High minus low", unit(found.benchmark), bars, padded([0.0, *reach], 0.06))
    note = "Bars: 95 % interval of each gap by itself. Circles: as intended, and the checks hold."
    return Chart(f"{name} · what is judged", f"{name} gaps", (panel,), note)


def _has_others(panel: DotPanel) -> bool:
    return any(bar.role == "other" for bar in panel.bars)


def _conditions(benchmark: BenchmarkScores, metric: str, curves: Sequence[Curve]) -> list[tuple[Subject, Score]]:
    found = without_strength(benchmark.scores.get(metric, {}), curves)
    arms = {subject.arm: place for place, (subject, _) in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda pair: (pair[0].method != "direct", arms[pair[0].arm], *subject_order(pair[0])))


def _bar(subject: Subject, score: Score, metric: str) -> Bar:
    """Coloured by level where the level bears on the metric: under the trait itself, and under a task."""
    own = subject.level in LEVELS and (metric == subject.trait or metric not in TRAITS)
    role = "direct" if subject.method == "direct" else subject.level if own else "other"
    return Bar(subject_name(subject), role, score.value, score.half)


def _y_range(benchmark: BenchmarkScores, curves: Sequence[Curve]) -> Range:
    metrics = {curve.metric for curve in curves}
    scores = [point.score for curve in curves for point in curve.points]
    scores += [
        score
        for metric in metrics
        for subject, score in benchmark.scores[metric].items()
        if subject.method in ("direct", "prompt")
    ]
    return _value_range(benchmark, scores)


def _value_range(benchmark: BenchmarkScores, scores: Sequence[Score]) -> Range:
    """The whole scale where a benchmark has one, so that a null looks like a null; else the data with 0.

    A cosine with the base starts at 1.
    """
    values = [score.value + sign * (score.half or 0) for score in scores for sign in (-1, 1)]
    if benchmark.kind == "questionnaire":
        return benchmark.scale or padded(values, 0.06)
    if benchmark.kind == "task" and all(0 <= score.value <= 1 for score in scores):
        return (0.0, 1.0)
    return padded([1.0 if benchmark.kind == "layers" else 0.0, *values], 0.06)


def padded(values: Sequence[float], share: float) -> Range:
    """From the least to the largest value, and a share of the way between them more on both sides."""
    low, high = min(values), max(values)
    room = (high - low) * share or 0.5
    return low - room, high + room


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers inside a range, 1, 2 or 5 times a power of ten apart, about as many as asked for.

    >>> ticks(-1.1, 1.6)
    [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    """
    raw = (high - low) / about
    power = Decimal(10) ** math.floor(math.log10(raw))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda each: abs(math.log(float(each) / raw)))
    first = math.ceil(Decimal(repr(low)) / step)
    last = math.floor(Decimal(repr(high)) / step)
    return [float(step * place) for place in range(first, last + 1)]


def labelled(at: Sequence[float], per_unit: float, per_letter: float) -> list[float]:
    """Those ticks whose numbers fit beside each other; `per_unit` and `per_letter` in the drawing's own measure."""
    shown: list[float] = []
    for each in at:
        letters = (len(plain(each)) + len(plain(shown[-1]))) / 2 + 1 if shown else 0
        if not shown or (each - shown[-1]) * per_unit >= letters * per_letter:
            shown.append(each)
    return shown
