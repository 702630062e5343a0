"""Put the page together: one HTML document without a single request to anywhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from itertools import chain
from string import Template

from ..assessment.item_scores import ItemScores
from ..records import BLOCKED
from ..results import ResultRow, rounding_losses
from .about import About
from .charts import Chart, condition_chart, strength_charts
from .comparisons import comparisons_section, is_comparison
from .findings import RULES, Finding, Verdict, findings_of
from .gaps import Gap, gaps_of
from .headlines import headline, task_notes
from .layer_charts import layer_charts
from .levels import levels_section
from .markup import Markup, element, join
from .provenance import provenance
from .summaries import BenchmarkScores, subject_of, subjects_in_order, summarise
from .svg import chart_svg, legend
from .tables import (
    checks_table,
    chip,
    correlations_table,
    findings_table,
    gaps_table,
    side_effects_table,
    subjects_table,
)
from .validity import checks_of, faults_of, partial_faults_of
from .wording import plural, sample_size, subject_name, unit, with_error


def charts_of(benchmarks: Sequence[BenchmarkScores]) -> list[Chart]:
    """Every chart of a study: of each benchmark first its curves over strength or layers, then its conditions."""
    charts: list[Chart] = []
    for benchmark in benchmarks:
        charts += [*strength_charts(benchmark), *layer_charts(benchmark)]
        if (conditions := condition_chart(benchmark)) is not None:
            charts.append(conditions)
    return charts


def render_page(
    rows: Sequence[ResultRow], about: About, figures: Sequence[str] = (), items: ItemScores | None = None
) -> str:
    """The whole report as HTML; `figures` are the names of the PNG files that stand beside it."""
    compared = comparisons_section(rows)
    measured = [row for row in rows if not is_comparison(row)]
    benchmarks = summarise(measured, items)
    findings = [findings_of(benchmark) for benchmark in benchmarks]
    sections = [
        ("moved", "What moved", _moved(benchmarks, findings)),
        ("curves", "Score against strength", _curves(benchmarks, findings)),
        ("conditions", "Conditions without a strength", _conditions(benchmarks)),
        ("comparisons", "Comparisons across subjects", compared),
        ("words", "Words and levels", levels_section(benchmarks)),
        ("layers", "Hidden states, layer by layer", _layers(benchmarks)),
        ("effects", "Effects on other traits", _effects(benchmarks)),
        ("checks", "Validity checks", _checks(benchmarks)),
        ("subjects", "All subjects", _subjects(benchmarks)),
        ("made", "How this was made", provenance(rows, about, figures)),
    ]
    shown = [(anchor, title, content) for anchor, title, content in sections if content]
    body = join([
        _header(measured, benchmarks, about),
        element("nav", *(element("a", title, href=f"#{anchor}") for anchor, title, _ in shown), aria_label="Sections"),
        element("main", *(_section(*each) for each in shown)),
    ])  # fmt: skip
    return _document(about.study, body)


def _section(anchor: str, title: str, content: Markup) -> Markup:
    return element("section", element("h2", title), content, id=anchor)


def _document(study: str, body: Markup) -> str:
    folder = files(__package__)
    script = folder.joinpath("sort.js").read_text(encoding="utf-8")
    allowed = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(folder.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'",
        title=join([f"{study} · traitgraph report"]),
        style=folder.joinpath("style.css").read_text(encoding="utf-8"),
        body=body,
        script=script,
    )


def _header(rows: Sequence[ResultRow], benchmarks: Sequence[BenchmarkScores], about: About) -> Markup:
    subjects = len({subject_of(row) for row in rows if row["same_as"] is None})
    models = sorted({row["model"] for row in rows if row["model"]})
    parts = [
        plural(subjects, "subject"), plural(len(benchmarks), "benchmark"),
        plural(len({row["job"] for row in rows}), "assessment"),
        f"model {', '.join(models)}" if models else None, f"seed {', '.join(about.seeds)}" if about.seeds else None,
    ]  # fmt: skip
    return element(
        "header",
        element("p", "traitgraph report", class_="eyebrow"),
        element("h1", about.study),
        element("p", about.description) if about.description else None,
        element("p", " · ".join(part for part in parts if part), class_="lede"),
        _incomplete(about, bool(rows)),
        *(element("p", text + ".", class_="banner", role="status") for text in rounding_losses(rows)),
    )


def _incomplete(about: About, any_rows: bool) -> Markup | None:
    """A warning when the table is not the whole study."""
    faults: list[str] = list(about.notes)
    if about.missing:
        faults.append(
            f"{plural(about.missing, 'assessment')} of the study {'is' if about.missing == 1 else 'are'} missing here."
        )
    failed = sum(len(failure.jobs) for failure in about.failures if failure.cause != BLOCKED)
    blocked = sum(len(failure.jobs) for failure in about.failures) - failed
    if about.failures:
        waiting = f" and {plural(blocked, 'job')} could not start" if blocked else ""
        faults.append(join([f"{plural(failed, 'job')} failed{waiting}: ", element("a", "why", href="#failures"), "."]))
    if not any_rows:
        faults.append("There are no results yet.")
    return element("p", join(faults, " "), class_="banner", role="status") if faults else None


def _moved(benchmarks: Sequence[BenchmarkScores], findings: Sequence[Sequence[Finding]]) -> Markup | None:
    cards = [
        card
        for benchmark, found in zip(benchmarks, findings, strict=True)
        if (card := _card(benchmark, found, gaps_of(benchmark))) is not None
    ]
    if not cards:
        return None
    rules = element("details", element("summary", "The rules behind these words"), element("p", RULES, class_="note"))
    return join([element("div", *cards, class_="cards"), rules])


def _card(benchmark: BenchmarkScores, findings: Sequence[Finding], gaps: Sequence[Gap]) -> Markup | None:
    """One benchmark in a few words."""
    faults = faults_of(benchmark)
    sentences = headline(benchmark, findings, faults, partial_faults_of(benchmark)) + _gap_sentence(gaps)
    verdicts = [each.verdict for each in findings] or [gap.verdict for gap in gaps]
    sentences += task_notes(benchmark)
    if not sentences:
        return None
    return element(
        "article",
        element("h3", benchmark.name),
        _summary_chip(verdicts, valid=not faults) if verdicts else None,
        element("p", sample_size(benchmark), class_="note"),
        *(element("p", text) for text in sentences),
        class_="card",
    )


SUMMARIES: dict[Verdict, str] = {
    "suffers": "with a loss",
    "moves": "as intended",
    "shifts": "as intended, one level only",
    "shared": "both levels shift the same way",
    "reversed": "the opposite way",
    "unclear": "unclear",
    "floor": "no loss could show",
    "few": "too few items",
}
"""Verdicts that a card leads with, the most telling first, as its words put them after a count."""


def _summary_chip(verdicts: Sequence[Verdict], valid: bool) -> Markup:
    """What a card leads with. Green only where everything moved as intended and the checks hold."""
    total = len(verdicts)
    if verdicts.count("moves") == total and valid:
        return chip("moves", f"{total} of {total} as intended")
    counts = {verdict: count for verdict in SUMMARIES if (count := verdicts.count(verdict))}
    if not counts:
        return chip("holds" if "holds" in verdicts else "null")
    first = next(iter(counts))
    words = [
        f"{'' if count == total else f'{count} of {total} '}{SUMMARIES[verdict]}" for verdict, count in counts.items()
    ]
    return chip(
        "unclear" if first in ("moves", "shifts") else first, ", ".join(words[:2] + ["checks fail"] * (not valid))
    )


def _gap_sentence(gaps: Sequence[Gap]) -> list[str]:
    judged = [gap for gap in gaps if gap.verdict != "few"]
    if not judged:
        return ["Without a strength, no verdict: too few items."] if gaps else []
    clear = sum(gap.verdict == "moves" for gap in judged)
    shared = sum(gap.verdict == "shared" for gap in judged)
    same = f", {shared} {'shifts' if shared == 1 else 'shift'} both the same way" if shared else ""
    largest = max(judged, key=lambda gap: abs(gap.change.value))
    return [
        f"Without a strength, high and low come apart under {clear} of {plural(len(judged), 'condition')}{same}; "
        f"the largest gap is {with_error(largest.change)} ({subject_name(largest.condition)})."
    ]


def _curves(benchmarks: Sequence[BenchmarkScores], findings: Sequence[Sequence[Finding]]) -> Markup | None:
    charts = list(chain.from_iterable(strength_charts(benchmark) for benchmark in benchmarks))
    if not charts:
        return None
    tables = [
        element("h3", "Verdicts"),
        findings_table(benchmarks, findings),
        element("h3", "Correlation of score with strength, level by level"),
        correlations_table(benchmarks),
    ]
    return join([*map(_chart, charts), *(tables if any(findings) else [])])


def _conditions(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    charts = [chart for benchmark in benchmarks if (chart := condition_chart(benchmark)) is not None]
    gaps = gaps_table(benchmarks)
    if not charts and gaps is None:
        return None
    title = element("h3", "High minus low, for each condition at both levels") if gaps else None
    return join([*map(_chart, charts), title, gaps])


def _layers(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    charts = list(chain.from_iterable(map(layer_charts, benchmarks)))
    return join(map(_chart, charts)) if charts else None


def _chart(chart: Chart) -> Markup:
    return element(
        "figure",
        element("h3", chart.title),
        legend(chart),
        chart_svg(chart),
        element("figcaption", chart.note, class_="note"),
    )


def _effects(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    parts: list[Markup] = []
    for benchmark in benchmarks:
        if (effects := side_effects_table(benchmark)) is not None:
            parts += [element("h3", f"{benchmark.name} [{unit(benchmark)}]"), effects]
    if not parts:
        return None
    intro = (
        "Change of every score from strength 0 (or the weakest) to the largest. In bold: the own trait. "
        "The line below a number compares sizes."
    )
    return join([element("p", intro), *parts])


def _checks(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    parts: list[Markup] = []
    for benchmark in benchmarks:
        if checks := checks_of(benchmark):
            parts += [element("h3", benchmark.name), checks_table(benchmark, checks)]
    return join(parts) if parts else None


def _subjects(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    if not subjects_in_order(benchmarks):
        return None
    intro = (
        "Means over repeats and seeds, ± what the bands of the charts show. A click on a column sorts by it. "
        "Everything else is in results.csv."
    )
    return join([element("p", intro, class_="note"), subjects_table(benchmarks)])
