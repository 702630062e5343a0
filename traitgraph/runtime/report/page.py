"""Put the page together: one HTML document without a single request to anywhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from string import Template

from traitgraph.runtime.results.provenance import About, Stage
from traitgraph.runtime.results.subjects import subject_name, subject_of
from traitgraph.runtime.results.summaries import BenchmarkScores, summarise
from traitgraph.runtime.results.table import ResultRow, rounding_losses
from traitgraph.runtime.store.errors import BLOCKED
from traitgraph.specs.jobs.results import duration_text

from .charts import Chart, Section, charts_of
from .comparisons import comparisons_section, is_comparison, levels_section
from .contexts import contexts_section
from .drawing import chart_on_page, style_sheet
from .findings import RULES, Findings, judge
from .headlines import headline, task_notes
from .labels import VERDICTS, contrast, plural, sample_size, unit
from .markup import Markup, element, join, table
from .reliability import forms_section
from .separation import Verdict
from .tables import checks_table, chip, correlations_table, effects_table, findings_table, gaps_table, subjects_table
from .validity import faults_of

MOST_FAILED = 5
"""Jobs that failed for one reason and are named."""
KEY_DIGITS = 8
EFFECTS = (
    "Change of every score from strength 0 (or the weakest) to the largest, ± 95 % interval. "
    "In bold: the own trait. The line below a number compares sizes."
)
SUBJECTS = (
    "Means over items, repeats and seeds, ± 95 % interval over items (and seeds); of a questionnaire answered by "
    "letter the expected answers. A click on a column sorts by it. Everything else is in results.csv."
)


def render_page(
    rows: Sequence[ResultRow],
    about: About,
    judged: Sequence[Findings] | None = None,
    figures: Mapping[str, Chart] | None = None,
) -> str:
    """The whole report as HTML; `figures` are its charts by the paths of the SVG files that stand beside it.

    `judged` is what is found in the rows; without it they are judged alone, without single items.
    """
    measured = [row for row in rows if not is_comparison(row)]
    found = judge(summarise(measured)) if judged is None else judged
    charts = charts_of(found) if figures is None else figures.values()
    benchmarks = [each.benchmark for each in found]

    def drawn(section: Section) -> list[Markup]:
        return [chart_on_page(chart) for chart in charts if chart.section == section]

    effects = _titled((f"{each.name} [{unit(each)}]", effects_table(each)) for each in benchmarks)
    sections = [
        ("moved", "What moved", _moved(found, drawn("moved"))),
        ("curves", "Score against strength", _curves(found, drawn("curves"))),
        ("conditions", "Conditions without a strength", _conditions(found, drawn("conditions"))),
        ("contexts", "Contexts", contexts_section(benchmarks)),
        ("comparisons", "Comparisons across subjects", comparisons_section(rows, about.references)),
        ("words", "Words and levels", levels_section(benchmarks)),
        ("layers", "Hidden states, layer by layer", join(drawn("layers"))),
        ("effects", "Effects on other traits", _under(element("p", EFFECTS), effects)),
        ("forms", "Forms of asking", forms_section(benchmarks)),
        ("checks", "Validity checks", _titled((each.name, checks_table(each)) for each in benchmarks)),
        ("subjects", "All subjects", _under(element("p", SUBJECTS, class_="note"), subjects_table(benchmarks))),
        ("made", "How this was made", _made(rows, about, figures or ())),
    ]
    shown = [(anchor, title, content) for anchor, title, content in sections if content]
    links = [element("a", title, href=f"#{anchor}") for anchor, title, _ in shown]
    body = join([
        _header(measured, benchmarks, about),
        element("nav", *links, aria_label="Sections"),
        element("main", *(element("section", element("h2", title), content, id=at) for at, title, content in shown)),
    ])  # fmt: skip
    return _document(about.study, body)


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


def _moved(found: Sequence[Findings], charts: Sequence[Markup]) -> Markup | None:
    cards = [card for each in found if (card := _card(each)) is not None]
    if not cards:
        return None
    rules = element("details", element("summary", "The rules behind these words"), element("p", RULES, class_="note"))
    return join([element("div", *cards, class_="cards"), rules, *charts])


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


def _curves(found: Sequence[Findings], charts: Sequence[Markup]) -> Markup | None:
    if not charts or not any(each.over_strengths for each in found):
        return join(charts)
    return join([
        *charts,
        element("h3", "Verdicts"),
        FAMILY_NOTE,
        findings_table(found),
        element("h3", "Correlation of score with strength, level by level"),
        element("p", "For a comparison with papers: no verdict rests on them, since few strengths correlate by chance.",
                class_="note"),
        correlations_table([each.benchmark for each in found]),
    ])  # fmt: skip


FAMILY_NOTE = element(
    "p",
    "p: both sides (of a task one), corrected by Holm for so many verdicts of the same arm, over its traits and "
    "benchmarks. "
    "The smallest effect that is found with 80 % power is that of the test that was used, at its strictest correction.",
    class_="note",
)


def _conditions(found: Sequence[Findings], charts: Sequence[Markup]) -> Markup:
    gaps = gaps_table(found)
    which = contrast(found[0].benchmark).capitalize() if found else ""
    title = element("h3", f"{which}, for each condition at both levels")
    return join([*charts, *([title, FAMILY_NOTE, gaps] if gaps else [])])


def _titled(contents: Iterable[tuple[str, Markup | None]]) -> Markup:
    """Each under its title, without those that are not there."""
    return join(join([element("h3", title), content]) for title, content in contents if content)


def _under(intro: Markup, content: Markup | None) -> Markup | None:
    return join([intro, content]) if content else None


def _made(rows: Sequence[ResultRow], about: About, figures: Iterable[str]) -> Markup:
    """Everything a reader needs to make the report again or to doubt it."""
    failures = [
        [each.cause, f"{plural(len(each.jobs), 'job')}: {', '.join(shown)}", each.log]
        for each in about.failures
        for shown in [[*each.jobs[:MOST_FAILED], "..."] if len(each.jobs) > MOST_FAILED else each.jobs]
    ]
    return join([
        element("h3", "Failures", id="failures") if failures else None,
        table(["cause", "jobs", "log"], failures) if failures else None,
        element("h3", "Spec"),
        element("pre", element("code", about.spec)),
        _pairs("Overrides", (text.partition("=")[::2] for text in about.overrides)),
        _stages(about.stages),
        _pairs("Made when, on what and from what", about.facts.items()),
        _pairs("Versions", about.versions.items()),
        element("h3", "Files beside this page"),
        element("ul", *(element("li", element("a", name, href=name)) for name in ("results.csv", *figures))),
        _job_keys(rows),
    ])  # fmt: skip


def _stages(stages: Sequence[Stage]) -> Markup | None:
    if not stages:
        return None
    whole = Stage("all", sum(stage.jobs for stage in stages), sum(stage.seconds for stage in stages))
    rows = [[stage.kind, f"{stage.jobs:,}", duration_text(stage.seconds)] for stage in (*stages, whole)]
    note = (
        "Jobs behind these results, each counted once however many subjects share it; "
        "wall time as recorded when each ran, added up."
    )
    return join([
        element("h3", "Jobs and durations"),
        table(["stage", "jobs", "time"], rows, numbers=[1, 2]),
        element("p", note, class_="note"),
    ])  # fmt: skip


def _pairs(title: str, pairs: Iterable[Sequence[str]]) -> Markup | None:
    lines = [each for name, value in pairs for each in (element("dt", name), element("dd", value))]
    return join([element("h3", title), element("dl", *lines, class_="pairs")]) if lines else None


def _job_keys(rows: Sequence[ResultRow]) -> Markup | None:
    """Which job measured which subject; the key leads to its folder in the store."""
    jobs = dict.fromkeys(
        (subject_name(subject_of(row)), "" if row["seed"] is None else str(row["seed"]), row["benchmark"], row["job"])
        for row in rows
    )
    if not jobs:
        return None
    lines = [[*about, element("code", job[:KEY_DIGITS], title=job)] for *about, job in jobs]
    summary = element("summary", f"Keys of {plural(len({job for *_, job in jobs}), 'assessment')}, by subject.")
    return element("details", summary, table(["subject", "seed", "benchmark", "job"], lines))
