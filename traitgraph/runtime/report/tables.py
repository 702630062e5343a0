"""The report's tables: what each vector did, what else it moved, checks, and all subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traitgraph.runtime.results.subjects import Subject, level_name, noun, strength_name, subject_names
from traitgraph.runtime.results.summaries import BenchmarkScores, subjects_in_order

from .curves import Curve, curves_of, family_labels, own_curves
from .findings import Findings
from .labels import (
    MINUS,
    VERDICTS,
    at_strength,
    contrast,
    count_text,
    fixed,
    number,
    or_dash,
    p_text,
    size,
    unit,
    with_error,
    with_spread,
)
from .markup import Markup, element, table
from .separation import Finding
from .validity import checks_of


def chip(verdict: str, words: str | None = None) -> Markup:
    """A verdict as a small label."""
    sign, usual = VERDICTS[verdict]
    return element("span", element("span", sign, aria_hidden="true"), f" {words or usual}", class_=f"chip {verdict}")


def verdict_chip(found: Finding) -> Markup:
    """The verdict on one subject; not green where it fails a validity check."""
    if found.verdict in ("moves", "shifts") and found.faults:
        return chip("inconclusive", "as intended, checks fail")
    return chip(found.verdict)


def findings_table(found: Sequence[Findings]) -> Markup:
    """The verdict on every trait (both levels together) or vector, with the figure that was judged."""
    labels = family_labels(finding.curves[0] for group in found for finding in group.over_strengths)
    several = any(labels.values())
    head = ["judged", *(["family"] if several else []), "measure", "verdict", "figure", "value ± 95 % interval"]
    head += ["p (Holm)", "slope ± 95 % interval", "found with 80 % power", "items"]
    rows = []
    for benchmark, finding in ((group.benchmark, finding) for group in found for finding in group.over_strengths):
        curve = finding.curves[0]
        figure = (
            " − ".join(benchmark.words.sides)
            if finding.is_pair
            else "worst − start"
            if benchmark.kind == "task"
            else "change"
        )
        rows.append([
            level_name(finding.subject), *([labels[curve.family]] if several else []),
            _measure(benchmark, curve.metric), verdict_chip(finding),
            f"{figure} at {at_strength(curve.family, curve.axis, finding.at)}", with_error(finding.change), _p(finding),
            or_dash(finding.slope, with_error), or_dash(finding.detectable, size), count_text(finding.scores),
        ])  # fmt: skip
    return table(head, rows, numbers=range(len(head) - 5, len(head)))


def _p(finding: Finding) -> str:
    """p with the number of verdicts that it is corrected for: '0.031 of 10'."""
    return "–" if finding.p is None or finding.lack else f"{p_text(finding.p).removeprefix('= ')} of {finding.family}"


def correlations_table(benchmarks: Sequence[BenchmarkScores]) -> Markup:
    """Correlation of score with strength for every vector under the measures it bears on."""
    groups = [own_curves(benchmark) if benchmark.kind not in ("words", "layers") else [] for benchmark in benchmarks]
    labels = family_labels(curve for group in groups for curve in group)
    several = any(labels.values())
    families = [curve.family for group in groups for curve in group]
    head = [noun(families), *(["family"] if several else []), "measure", "change ± 95 % interval", "unit"]
    head += ["Pearson", "Spearman", "strengths", "items"]
    rows = [
        [
            level_name(curve.family),
            *([labels[curve.family]] if several else []), _measure(benchmark, curve.metric), with_error(curve.change),
            unit(benchmark),
            or_dash(curve.pearson, fixed), or_dash(curve.spearman, fixed), str(len(curve.points)),
            count_text([curve.points[-1].score]),
        ]
        for benchmark, group in zip(benchmarks, groups, strict=True) for curve in group
    ]  # fmt: skip
    return table(head, rows, numbers=[len(head) - 6, *range(len(head) - 4, len(head))])


def _measure(benchmark: BenchmarkScores, metric: str) -> str:
    """The benchmark, with the metric where it has several of one meaning."""
    return benchmark.name if benchmark.about_traits else f"{benchmark.name}: {metric}"


def gaps_table(found: Sequence[Findings]) -> Markup | None:
    """Upper minus lower level for every condition without a strength; None where there is none at both levels."""
    names = subject_names(gap.subject for group in found for gap in group.without_strength)
    rows = [
        [
            names[gap.subject], group.benchmark.name, with_error(gap.change), unit(group.benchmark), _p(gap),
            or_dash(gap.detectable, size), count_text(gap.scores), verdict_chip(gap),
        ]
        for group in found for gap in group.without_strength
    ]  # fmt: skip
    which = contrast(found[0].benchmark) if found else ""
    head = ["condition", "measure", f"{which} ± 95 % interval", "unit", "p (Holm)", "found with 80 % power"]
    return table([*head, "items", "verdict"], rows, numbers=[2, 4, 5, 6]) if rows else None


def effects_table(benchmark: BenchmarkScores) -> Markup | None:
    """How much each vector moves every trait of a benchmark; None when it has fewer than two."""
    metrics = benchmark.main_metrics
    if not benchmark.about_traits or len(metrics) < 2:
        return None
    by_family: dict[Subject, dict[str, Curve]] = {}
    for metric in metrics:
        for curve in curves_of(benchmark, metric):
            by_family.setdefault(curve.family, {})[metric] = curve
    if not by_family:
        return None
    largest = max(abs(curve.change.value) for curves in by_family.values() for curve in curves.values()) or 1.0
    labels = family_labels(curve for curves in by_family.values() for curve in curves.values())
    rows = []
    for family, curves in by_family.items():
        name = f"{family.trait} {family.level}" + (f" ({labels[family]})" if labels[family] else "")
        effects = [_effect(curves.get(metric), metric == family.trait, largest) for metric in metrics]
        rows.append([element("th", name, scope="row"), *effects])
    columns = range(1, 1 + len(metrics))
    return table([noun(by_family), *metrics], rows, numbers=columns, class_="effects", long=math.inf)


def _effect(curve: Curve | None, own: bool, largest: float) -> str:
    if curve is None:
        return "–"
    value = curve.change.value
    share = round(100 * abs(value) / largest)
    classes = f"number {'up' if value > 0 else 'down'}{' own' if own else ''}"
    return element("td", with_error(curve.change), class_=classes, style=f"--share:{share}")


def checks_table(benchmark: BenchmarkScores) -> Markup | None:
    """Every check of a benchmark over its subjects; None where it has none."""
    rows = []
    for check in checks_of(benchmark):
        name = element("span", element("code", check.name), element("small", check.meaning) if check.meaning else None)
        reading: str = f"0 of {check.subjects}" if check.wanted else "–"
        if check.failing:
            reading = element("span", f"▲ {check.failing} of {check.subjects}", class_="chip reversed")
        found = or_dash(check.direct, fixed), or_dash(check.conditions, _range), or_dash(check.vectors, _range)
        rows.append([name, check.wanted or "no threshold", *found, reading])
    head = ["check", "wanted", "base model", "other conditions", "all strengths", "subjects that fail"]
    return table(head, rows, numbers=[2, 3, 4], class_="checks") if rows else None


def _range(found: tuple[float, float]) -> str:
    low, high = fixed(found[0]), fixed(found[1])
    return low if low == high else f"{low} to {high}"


def subjects_table(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    """One row per subject, one column per score; sorts by any column where scripts run. None without a subject."""
    subjects = subjects_in_order(benchmarks)
    if not subjects:
        return None
    found = {name: {getattr(each, name) for each in subjects} for name in Subject._fields}
    used = [
        name
        for name, values in found.items()
        if name == "arm" or (len(values) > 1 if name == "model" else values != {""})
    ]
    measures = [(benchmark, metric) for benchmark in benchmarks for metric in benchmark.main_metrics]
    groups = [element("th", "subject", colspan=len(used), scope="colgroup")]
    groups += [
        element("th", benchmark.name, colspan=len(benchmark.main_metrics), scope="colgroup", class_="group")
        for benchmark in benchmarks
        if benchmark.main_metrics
    ]
    columns = [(_column_name(name, subjects), "number" if name in ("alpha", "gamma") else None) for name in used]
    columns += [(metric, "number") for _, metric in measures]
    buttons = [
        element("th", element("button", name, type="button"), scope="col", class_=kind) for name, kind in columns
    ]
    rows = [_subject_cells(subject, used, measures) for subject in subjects]
    return table(buttons, rows, class_="sortable", above=element("tr", *groups), long=0)


def _column_name(name: str, subjects: Sequence[Subject]) -> str:
    """A strength is called what it is: 'alpha', 'coefficient', or both where both are there."""
    if name not in ("alpha", "gamma"):
        return name
    return " / ".join(dict.fromkeys(strength_name(each, name) for each in subjects if getattr(each, name)))


def _subject_cells(
    subject: Subject, used: Sequence[str], measures: Sequence[tuple[BenchmarkScores, str]]
) -> list[Markup]:
    cells = []
    for name in used:
        value = getattr(subject, name)
        if name in ("alpha", "gamma"):
            cells.append(element("td", value.replace("-", MINUS), class_="number", data_v=value))
        else:
            cells.append(element("td", value))
    for benchmark, metric in measures:
        score = benchmark.scores[metric].get(subject)
        if score is None:
            cells.append(element("td", "", class_="number"))
            continue
        over = f", 95 % interval over {score.over}" if score.over else ""
        drawn = "" if score.noise is None else f", SD {number(score.noise, 3)} over {score.repeats} repeats"
        title = f"{benchmark.name}, {metric}: {number(score.value, 4)}{over}{drawn}, n = {count_text([score])}"
        cells.append(element("td", with_spread(score), class_="number", data_v=repr(score.value), title=title))
    return cells
