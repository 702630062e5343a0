"""Which charts a study has: small multiples of score against strength, of hidden states layer by layer, of conditions.

A chart is data; `drawing` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from traitgraph.runtime.assessment.layer_similarity import LAYER
from traitgraph.runtime.results.statistics import Estimate
from traitgraph.runtime.results.subjects import (
    Subject,
    arm_name,
    method_kind,
    strength,
    subject_name,
    subject_names,
    subject_order,
    variant_of,
)
from traitgraph.runtime.results.summaries import BenchmarkScores, Score
from traitgraph.specs.study.vocabulary import Vocabulary

from .curves import Curve, axis_of, family_labels, own_curves, without_strength
from .findings import Findings, chance_of
from .labels import at_strength, axis_title, contrast, number, plain, spread_note, unit, with_spread

MAX_ROWS = 60
"""Conditions beyond this are left to the table: a chart with more rows is not read."""

MOST_TICKS = 12
"""Strengths beyond this are not marked one by one."""

ABOVE = "high"
"""Role of what belongs to a level above the middle: the name of its colour in the style sheet."""
BELOW = "low"
"""The same for a level below the middle."""

Range = tuple[float, float]


def role_of(level: str, words: Vocabulary) -> str:
    """How what belongs to a level is drawn; 'other' for a level in the middle and for none."""
    sign = words.sign(level) if level in words.levels else 0
    return {1: ABOVE, -1: BELOW}.get(sign, "other")


class Mark(NamedTuple):
    """One point of a line."""

    x: float
    y: float
    spread: float | None
    label: str


class Line(NamedTuple):
    """Marks joined in the order of x. `role` decides colour and dashes: that of a level, 'direct' or 'chance'."""

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
    label: str


class DotPanel(NamedTuple):
    """One small multiple: conditions below each other."""

    title: str
    x_title: str
    bars: tuple[Bar, ...]
    x_range: Range


Section = Literal["moved", "curves", "conditions", "layers"]


class Chart(NamedTuple):
    """Panels with common axes, and what a reader must know about them."""

    title: str
    name: str
    """What its file is called: unlike `title`, never shared by two charts of a study."""
    panels: tuple[Panel | DotPanel, ...]
    note: str
    section: Section
    """Where it stands on the page."""


def charts_of(judged: Sequence[Findings]) -> list[Chart]:
    """Every chart of a study: of each benchmark its curves over strength or layers, its conditions, then its gaps."""
    charts: list[Chart] = []
    for found in judged:
        benchmark = found.benchmark
        charts += [*strength_charts(benchmark), *layer_charts(benchmark)]
        charts += [chart for chart in (condition_chart(benchmark), gap_chart(found)) if chart is not None]
    return charts


def strength_charts(benchmark: BenchmarkScores) -> list[Chart]:
    """Score against alpha or gamma: one chart per family of vectors and metric of a task, one panel per trait.

    Of words one chart per family and trait, one panel per category.
    """
    curves = own_curves(benchmark)
    labels = family_labels(curves)
    words = benchmark.kind == "words"
    groups: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in curves:
        apart = curve.family.trait if words else "" if benchmark.about_traits else curve.metric
        groups.setdefault((curve.axis, apart, labels[curve.family]), []).append(curve)
    shown = words or len(benchmark.main_metrics) > 1 or benchmark.kind == "layers"
    return [
        _strength_chart(benchmark, _titled(benchmark.name, apart if shown else "", label), of)
        for (_, apart, label), of in groups.items()
    ]


def _titled(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _strength_chart(benchmark: BenchmarkScores, title: str, curves: Sequence[Curve]) -> Chart:
    words = benchmark.kind == "words"
    panels: dict[str, list[Curve]] = {}
    for curve in curves if words else sorted(curves, key=lambda each: subject_order(each.family, benchmark.words)):
        panels.setdefault(curve.metric if words else curve.family.trait, []).append(curve)
    points = [point for curve in curves for point in curve.points]
    x_range = padded([point.effective for point in points], 0.04)
    drawn = tuple(
        Panel(
            title=name or of[0].family.arm,
            x_title=max((curve.axis_title for curve in of), key=len),
            y_title=axis_title(benchmark, of[0].metric),
            lines=tuple(_line(curve, benchmark.words) for curve in of),
            references=tuple(_references(benchmark, of[0].metric, of[0].family)),
            x_range=x_range,
            y_range=_y_range(benchmark, of if words else curves),
            x_notes={0.0: "base", 1.0: "tuned"} if of[0].family.method == "vector" else {},
        )
        for name, of in panels.items()
    )
    return Chart(title, title, drawn, spread_note(benchmark, [point.score for point in points]), "curves")


def _line(curve: Curve, words: Vocabulary) -> Line:
    level, marks = curve.family.level, []
    for point in sorted(curve.points, key=lambda each: each.effective):
        left = "" if point.effective == point.strength else f" (effective {number(point.effective)})"
        at = at_strength(curve.family, curve.axis, point.strength)
        label = f"{level} {at}{left}: {with_spread(point.score)}".strip()
        marks.append(Mark(point.effective, point.score.value, point.score.half, label))
    return Line(f"{arm_name(curve.family)} {level}".strip(), role_of(level, words), tuple(marks))


def _references(benchmark: BenchmarkScores, metric: str, family: Subject) -> Iterator[Reference]:
    """The base model, the prompt of each level when there is exactly one, and chance where the benchmark tells it."""
    alike = family.model, family.context
    scores = {
        subject: score
        for subject, score in benchmark.scores[metric].items()
        if (subject.model, subject.context) == alike
    }
    if direct := [subject for subject in scores if subject.method == "direct"]:
        yield Reference(arm_name(direct[0]), "direct", scores[direct[0]].value)
    for level in benchmark.words.levels:
        wanted = ("prompt", family.trait, level)
        prompts = [each for each in scores if (method_kind(each), each.trait, each.level) == wanted]
        if len(prompts) == 1:
            yield Reference(
                f"{arm_name(prompts[0])} {level}", role_of(level, benchmark.words), scores[prompts[0]].value
            )
    if (chance := chance_of(benchmark, metric)) is not None:
        yield Reference("chance", "chance", chance)


def layer_charts(benchmark: BenchmarkScores) -> list[Chart]:
    """Cosine of hidden states with the base's against the layer: a panel a trait, a line a level; none of other kinds.

    A chart for each arm, model and merge, at the largest strength where there are several.
    """
    if benchmark.kind != "layers":
        return []
    farthest: dict[Subject, Subject] = {}
    for subject in next(iter(benchmark.scores.values())):
        if subject.trait and subject.level in benchmark.words.levels:
            known = farthest.setdefault(subject.unscaled, subject)
            if (strength(subject.gamma), strength(subject.alpha)) > (strength(known.gamma), strength(known.alpha)):
                farthest[subject.unscaled] = subject
    several = len({subject.model for subject in farthest.values()}) > 1
    groups: dict[str, list[Subject]] = {}
    for subject in sorted(farthest.values(), key=lambda each: subject_order(each, benchmark.words)):
        axis = axis_of(subject)
        at = at_strength(subject, axis, strength(getattr(subject, axis))) if axis else ""
        model = subject.model if several else ""
        title = _titled(benchmark.name, subject.arm, variant_of(subject), model, subject.merge, at)
        groups.setdefault(title, []).append(subject)
    return [_layer_chart(benchmark, title, of) for title, of in groups.items()]


def _layer_chart(benchmark: BenchmarkScores, title: str, subjects: Sequence[Subject]) -> Chart:
    lines: dict[str, list[Line]] = {}
    found: list[Score] = []
    for subject in subjects:
        scores = {
            int(metric.removeprefix(LAYER)): of[subject] for metric, of in benchmark.scores.items() if subject in of
        }
        marks = tuple(
            Mark(layer, score.value, score.half, f"{subject.level}, block {layer}: {with_spread(score)}")
            for layer, score in scores.items()
        )
        found += scores.values()
        lines.setdefault(subject.trait, []).append(
            Line(f"{arm_name(subject)} {subject.level}", role_of(subject.level, benchmark.words), marks)
        )
    x_range = padded([mark.x for of in lines.values() for line in of for mark in line.marks], 0.04)
    y_range, y_title = padded([1.0, *_ends(found)], 0.06), axis_title(benchmark, LAYER)
    panels = tuple(
        Panel(trait, "after block", y_title, tuple(of), (), x_range, y_range, x_notes={}) for trait, of in lines.items()
    )
    return Chart(title, title, panels, spread_note(benchmark, found), "layers")


def condition_chart(benchmark: BenchmarkScores) -> Chart | None:
    """Conditions without a strength, one panel per metric; None when there is nothing beside the base model."""
    curves = own_curves(benchmark)
    shown: dict[str, list[tuple[Subject, Score]]] = {}
    for metric in benchmark.main_metrics:
        found = without_strength(benchmark.scores[metric], curves)
        arms = list(dict.fromkeys(subject.arm for subject, _ in found))
        if 0 < len(found) <= MAX_ROWS:
            places = {
                subject: (subject.method != "direct", arms.index(subject.arm), *subject_order(subject, benchmark.words))
                for subject, _ in found
            }
            shown[metric] = sorted(found, key=lambda each: places[each[0]])
    subjects = {subject for found in shown.values() for subject, _ in found}
    if all(subject.method == "direct" and not subject.context for subject in subjects):
        return None
    traits = {subject.trait for subject in subjects}
    if benchmark.about_traits and traits & shown.keys():
        shown = {metric: found for metric, found in shown.items() if metric in traits}
    everything = [score for found in shown.values() for _, score in found]
    panels = []
    for metric, found in shown.items():
        # Rare words and frequent ones have no scale in common.
        scale = [score for _, score in found] if benchmark.kind == "words" else everything
        bars = tuple(_condition(subject, score, metric, benchmark.words) for subject, score in found)
        panels.append(DotPanel(metric, axis_title(benchmark, metric), bars, _value_range(benchmark, scale)))
    note = spread_note(benchmark, everything)
    if any(bar.role == "other" for panel in panels for bar in panel.bars):
        note += " Diamonds: conditions made for another trait."
    return Chart(benchmark.name, f"{benchmark.name} conditions", tuple(panels), note, "conditions")


def _condition(subject: Subject, score: Score, metric: str, words: Vocabulary) -> Bar:
    """Coloured by level where the level bears on the metric: under the trait itself, and under a task."""
    own = metric == subject.trait or metric not in words.traits
    role = "direct" if subject.method == "direct" else role_of(subject.level, words) if own else "other"
    return _bar(subject_name(subject), role, score)


def _bar(name: str, role: str, score: Score | Estimate) -> Bar:
    return Bar(name, role, score.value, score.half, f"{name}: {with_spread(score)}")


def gap_chart(found: Findings) -> Chart | None:
    """Upper minus lower level of everything that is judged at both levels, with its interval; None for nothing."""
    judged = [each for each in found.found if each.is_pair and not math.isnan(each.change.value)][:MAX_ROWS]
    if not judged:
        return None
    named = [
        each.subject._replace(**{each.curves[0].axis: plain(each.at)}) if each.curves else each.subject
        for each in judged
    ]  # fmt: skip
    names = subject_names(named)
    bars = tuple(
        _bar(names[subject], ABOVE if each.is_sound else "other", each.change)
        for subject, each in zip(named, judged, strict=True)
    )
    name = found.benchmark.name
    reach = padded([0.0, *_ends(each.change for each in judged)], 0.06)
    panel = DotPanel(contrast(found.benchmark).capitalize(), unit(found.benchmark), bars, reach)
    note = "Bars: 95 % interval of each gap by itself. Circles: as intended, and the checks hold."
    return Chart(f"{name} · what is judged", f"{name} gaps", (panel,), note, "moved")


def _y_range(benchmark: BenchmarkScores, curves: Sequence[Curve]) -> Range:
    scores = [point.score for curve in curves for point in curve.points]
    of_metrics = [benchmark.scores[metric].items() for metric in {curve.metric for curve in curves}]
    references = [score for of in of_metrics for subject, score in of if subject.method in ("direct", "prompt")]
    return _value_range(benchmark, scores + references)


def _value_range(benchmark: BenchmarkScores, scores: Sequence[Score]) -> Range:
    """The whole scale where a benchmark has one, so that a null looks like a null; else the data with 0.

    A cosine with the base starts at 1.
    """
    values = _ends(scores)
    if benchmark.kind == "questionnaire":
        return benchmark.scale or padded(values, 0.06)
    if benchmark.kind == "task" and all(0 <= score.value <= 1 for score in scores):
        return (0.0, 1.0)
    return padded([1.0 if benchmark.kind == "layers" else 0.0, *values], 0.06)


def _ends(scores: Iterable[Score | Estimate]) -> list[float]:
    """Both ends of every interval; the score itself where there is none."""
    return [score.value + sign * (score.half or 0) for score in scores for sign in (-1, 1)]


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
