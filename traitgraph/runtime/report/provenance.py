"""The last part of the report: spec, versions, durations, job keys, failures, and where the numbers are as files."""

from __future__ import annotations

from collections.abc import Sequence

from traitgraph.specs.jobs.results import duration_text

from .about import About, Failure, Stage
from .labels import plural, subject_name
from .markup import Markup, element, join
from .results import ResultRow
from .summaries import subject_of
from .tables import table

KEY_DIGITS = 8
MAX_KEYS = 2000


def provenance(rows: Sequence[ResultRow], about: About, figures: Sequence[str]) -> Markup:
    """Everything a reader needs to make the report again or to doubt it."""
    return join([
        _failures(about.failures),
        element("h3", "Spec"),
        element("pre", element("code", about.spec)),
        _overrides(about.overrides),
        _stages(about.stages),
        _pairs("Made when, on what and from what", list(about.facts.items())),
        _pairs("Versions", list(about.versions.items())),
        _files(figures),
        _job_keys(rows),
    ])  # fmt: skip


def _failures(failures: Sequence[Failure]) -> Markup | None:
    if not failures:
        return None
    rows = [
        [
            failure.cause,
            plural(len(failure.jobs), "job")
            + ": "
            + ", ".join(failure.jobs[:5])
            + (", ..." if len(failure.jobs) > 5 else ""),
            failure.log,
        ]
        for failure in failures
    ]
    return join([element("h3", "Failures", id="failures"), table(["cause", "jobs", "log"], rows)])


def _overrides(overrides: Sequence[str]) -> Markup | None:
    return _pairs("Overrides", [(text.partition("=")[0], text.partition("=")[2]) for text in overrides])


def _stages(stages: Sequence[Stage]) -> Markup | None:
    if not stages:
        return None
    rows = [[stage.kind, f"{stage.jobs:,}", duration_text(stage.seconds)] for stage in stages]
    rows.append(
        ["all", f"{sum(stage.jobs for stage in stages):,}", duration_text(sum(stage.seconds for stage in stages))]
    )
    note = (
        "Jobs behind these results, each counted once however many subjects share it; "
        "wall time as recorded when each ran, added up."
    )
    return join(
        [
            element("h3", "Jobs and durations"),
            table(["stage", "jobs", "time"], rows, numbers=[1, 2]),
            element("p", note, class_="note"),
        ]
    )


def _pairs(title: str, pairs: Sequence[tuple[str, str]]) -> Markup | None:
    if not pairs:
        return None
    lines = [each for name, value in pairs for each in (element("dt", name), element("dd", value))]
    return join([element("h3", title), element("dl", *lines, class_="pairs")])


def _files(figures: Sequence[str]) -> Markup:
    links = [element("li", element("a", name, href=name)) for name in ("results.csv", *figures)]
    return join([element("h3", "Files beside this page"), element("ul", *links)])


def _job_keys(rows: Sequence[ResultRow]) -> Markup | None:
    """Which job measured which subject; the key leads to its folder in the store."""
    jobs = dict.fromkeys((subject_name(subject_of(row)), row["seed"], row["benchmark"], row["job"]) for row in rows)
    if not jobs:
        return None
    lines = [
        [name, seed, benchmark, element("code", job[:KEY_DIGITS], title=job)]
        for name, seed, benchmark, job in list(jobs)[:MAX_KEYS]
    ]
    rest = f" The first {MAX_KEYS:,} are listed; all are in results.csv." if len(jobs) > MAX_KEYS else ""
    summary = element("summary", f"Keys of {plural(len({job for *_, job in jobs}), 'assessment')}, by subject.{rest}")
    return element("details", summary, table(["subject", "seed", "benchmark", "job"], lines))
