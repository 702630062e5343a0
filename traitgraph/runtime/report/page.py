"""Put the page together: one HTML document without a single request to anywhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import chain
from string import Template

from traitgraph.runtime.store.errors import BLOCKED

from .about import About
from .charts import condition_chart, gap_chart, layer_charts, strength_charts
from .comparisons import comparisons_section, is_comparison, levels_section
from .drawing import chart_on_page, style_sheet
from .findings import RULES, Findings, judge
from .headlines import headline, task_notes
from .labels import VERDICTS, plural, sample_size, unit
from .markup import Markup, element, join
from .provenance import provenance
from .results import ResultRow, rounding_losses
from .separation import Verdict
from .summaries import BenchmarkScores, subject_of, subjects_in_order, summarise
from .tables import (
    checks_table,
    chip,
    correlations_table,
    findings_table,
    gaps_table,
    side_effects_table,
    subjects_table,
)
from .validity import checks_of, faults_of


def render_page(
    rows: Sequence[ResultRow], about: About, figures: Sequence[str] = (), judged: Sequence[Findings] | None = None
) -> str:
    """The whole report as HTML; `figures` are the names of the SVG files that stand beside it.

    `judged` is what is found in the rows; without it they are judged alone, without single items.
    """
    compared = comparisons_section(rows, about.references)
    measured = [row for row in rows if not is_comparison(row)]
    found = judge(summarise(measured)) if judged is None else judged
    benchmarks = [each.benchmark for each in found]
    sections = [
        ("moved", "What moved", _moved(found)),
        ("curves", "Score against strength", _curves(benchmarks, found)),
        ("conditions", "Conditions without a strength", _conditions(benchmarks, found)),
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
        style=style_sheet("style.css") + style_sheet("chart.css"),
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


def _moved(found: Sequence[Findings]) -> Markup | None:
    cards = [card for each in found if (card := _card(each)) is not None]
    if not cards:
        return None
    rules = element("details", element("summary", "The rules behind these words"), element("p", RULES, class_="note"))
    charts = [chart for each in found if (chart := gap_chart(each)) is not None]
    return join([element("div", *cards, class_="cards"), rules, *map(chart_on_page, charts)])


def _card(found: Findings) -> Markup | None:
    """One benchmark in a few words."""
    sentences = headline(found) + task_notes(found.benchmark)
    if not sentences:
        return None
    return element(
        "article",
        element("h3", found.benchmark.name),
        _summary_chip(found),
        element("p", sample_size(found.benchmark), class_="note"),
        *(element("p", text) for text in sentences),
        class_="card",
    )


LEADING: tuple[Verdict, ...] = (
    "suffers", "moves", "shifts", "failed", "missing", "same", "shared", "reversed", "inconclusive", "floor", "few",
    "null", "holds",
)  # fmt: skip
"""Verdicts that a card leads with, the most telling first."""
COUNTED = {"suffers": "with a loss", "holds": "without a loss", "failed": "without usable answers"}
"""Words of a verdict after a count, where they are others than alone."""


def _summary_chip(found: Findings) -> Markup | None:
    """What a card leads with. Green only where everything moved as intended, and nothing is left to say against it."""
    judged = found.found
    if not judged:
        return None
    unsound = any(each.verdict in ("moves", "shifts") and each.faults for each in judged) or faults_of(found.benchmark)
    against = ["checks fail"] * bool(unsound) + ["answers lost"] * bool(found.lost)
    counts = Counter(each.verdict for each in judged)
    leading = [verdict for verdict in LEADING if counts[verdict]]
    first, total = leading[0], len(judged)
    if leading == ["moves"] and not against:
        return chip("moves", f"{total} of {total} as intended")
    if len(leading) == 1 and first not in ("moves", "shifts", "suffers"):
        return chip(first, ", ".join([VERDICTS[first][1], *against]))
    words = [
        ("" if counts[each] == total else f"{counts[each]} of {total} ") + COUNTED.get(each, VERDICTS[each][1])
        for each in leading[:2]
    ]
    return chip("inconclusive" if first in ("moves", "shifts") else first, ", ".join(words + against))


def _curves(benchmarks: Sequence[BenchmarkScores], found: Sequence[Findings]) -> Markup | None:
    charts = list(chain.from_iterable(strength_charts(benchmark) for benchmark in benchmarks))
    if not charts:
        return None
    tables = [
        element("h3", "Verdicts"),
        element("p", FAMILY_NOTE, class_="note"),
        findings_table(found),
        element("h3", "Correlation of score with strength, level by level"),
        element("p", "For a comparison with papers: no verdict rests on them, since few strengths correlate by chance.",
                class_="note"),
        correlations_table(benchmarks),
    ]  # fmt: skip
    return join([*map(chart_on_page, charts), *(tables if any(each.over_strengths for each in found) else [])])


FAMILY_NOTE = (
    "p: both sides (of a task one), corrected by Holm for so many verdicts of the same arm, over its traits and "
    "benchmarks. "
    "The smallest effect that is found with 80 % power is that of the test that was used, at its strictest correction."
)


def _conditions(benchmarks: Sequence[BenchmarkScores], found: Sequence[Findings]) -> Markup | None:
    charts = [chart for benchmark in benchmarks if (chart := condition_chart(benchmark)) is not None]
    gaps = gaps_table(found)
    if not charts and gaps is None:
        return None
    title = element("h3", "High minus low, for each condition at both levels") if gaps else None
    return join([*map(chart_on_page, charts), title, element("p", FAMILY_NOTE, class_="note") if gaps else None, gaps])


def _layers(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    charts = list(chain.from_iterable(map(layer_charts, benchmarks)))
    return join(map(chart_on_page, charts)) if charts else None


def _effects(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    parts: list[Markup] = []
    for benchmark in benchmarks:
        if (effects := side_effects_table(benchmark)) is not None:
            parts += [element("h3", f"{benchmark.name} [{unit(benchmark)}]"), effects]
    if not parts:
        return None
    intro = (
        "Change of every score from strength 0 (or the weakest) to the largest, ± 95 % interval. "
        "In bold: the own trait. The line below a number compares sizes."
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
        "Means over items, repeats and seeds, ± 95 % interval over items (and seeds); of a questionnaire answered by "
        "letter the expected answers. A click on a column sorts by it. Everything else is in results.csv."
    )
    return join([element("p", intro, class_="note"), subjects_table(benchmarks)])
