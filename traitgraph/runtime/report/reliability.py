"""How far the scores of a questionnaire depend on how it is asked: sensitivity to each axis, reliability over forms.

Subjects are what is measured and forms what measures them, every subject by every form. With MS the mean squares of a
two-way analysis of variance (rows: n subjects, columns: k forms, e: what is left), after McGraw and Wong (1996):

    one form   ICC(A,1) = (MS_rows - MS_e) / (MS_rows + (k - 1) MS_e + k (MS_columns - MS_e) / n)
    all forms  Cronbach's alpha = k / (k - 1) (1 - sum of variances of the forms / variance of their sum) = ICC(C,k)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from traitgraph.runtime.assessment.measurement import mean
from traitgraph.runtime.assessment.questionnaires.form_scores import SENSITIVITY
from traitgraph.runtime.results.summaries import BenchmarkScores
from traitgraph.runtime.results.table import ResultRow

from .labels import fixed, or_dash, plural
from .markup import Markup, element, join, table

if TYPE_CHECKING:
    import numpy as np

    Scores = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

NOTE = (
    "Spread: standard deviation (and range) of a subject's mean scores over the values of an axis, mean over subjects. "
    "Turns: share of a trait's items whose likeliest answer, everything else alike, is not the same for all values of "
    "the axis (TRAIT's prompt and option-order sensitivity). No option: probability that the answer is none of the "
    "options, or share of written answers without a number, from the best form to the worst. ICC: how far one form "
    "tells subjects apart and agrees with the others (two-way, absolute agreement, single); alpha: Cronbach's over all "
    "forms. Both are about these subjects, and unknown where there is one, or no difference."
)


class Reliability(NamedTuple):
    """Of scores by subjects and forms; None where it is undefined."""

    single: float | None
    """ICC(A,1): of one form."""
    alpha: float | None
    """Cronbach's alpha: of the mean over all forms."""


def reliability(scores: Scores) -> Reliability:
    """Of scores [subject, form]; undefined below two of either, or where subjects do not differ."""
    import numpy as np

    subjects, forms = scores.shape
    if subjects < 2 or forms < 2:
        return Reliability(None, None)
    rows = forms * scores.mean(axis=1).var(ddof=1)
    columns = subjects * scores.mean(axis=0).var(ddof=1)
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    error = float((left**2).sum()) / ((subjects - 1) * (forms - 1))
    whole = rows + (forms - 1) * error + forms * (columns - error) / subjects
    if np.isclose(rows, 0) or np.isclose(whole, 0):
        return Reliability(None, None)
    return Reliability(float((rows - error) / whole), float((rows - error) / rows))


def spread(scores: Scores, values: Sequence[str]) -> tuple[float, float]:
    """Standard deviation and range of means over the values of an axis, which each form (column) has one of.

    Mean over subjects.
    """
    import numpy as np

    named = np.array(values)
    means = np.stack([scores[:, named == value].mean(axis=1) for value in dict.fromkeys(values)])
    return float(means.std(axis=0, ddof=1).mean()), float(np.ptp(means, axis=0).mean())


def forms_section(benchmarks: Sequence[BenchmarkScores]) -> Markup | None:
    """A table for each questionnaire that was asked in several forms; None without one."""
    parts = [part for each in benchmarks if each.forms for part in _of_benchmark(each)]
    return join([*parts, element("p", NOTE, class_="note")]) if parts else None


def _of_benchmark(benchmark: BenchmarkScores) -> Iterator[Markup]:
    """A title and a table; several where arms ask in other forms."""
    jobs: dict[str, list[ResultRow]] = {}
    for row in benchmark.forms:
        if row["same_as"] is None:
            jobs.setdefault(row["job"], []).append(row)
    alike: dict[tuple[str, ...], list[list[ResultRow]]] = {}
    for rows in jobs.values():
        alike.setdefault(tuple(dict.fromkeys(str(row["form"]) for row in rows)), []).append(rows)
    for forms, subjects in alike.items():
        yield from _of_forms(benchmark, forms, subjects)


def _of_forms(
    benchmark: BenchmarkScores, forms: Sequence[str], subjects: Sequence[Sequence[ResultRow]]
) -> Iterator[Markup]:
    """Of subjects that were asked in the same forms."""
    import numpy as np

    settings = [dict(part.split("=", 1) for part in form.split(",")) for form in forms]
    axes = [axis for axis in settings[0] if len({setting[axis] for setting in settings}) > 1]
    table_rows = []
    for trait in benchmark.main_metrics:
        found = [
            {str(row["form"]): row["value"] for row in rows if row["metric"] in (trait, f"{trait}.expected")}
            for rows in subjects
        ]
        whole = [[each.get(form) for form in forms] for each in found]
        scores = np.array([each for each in whole if None not in each], dtype=np.float64)
        if not scores.size:
            continue
        cells = [trait, str(len(scores))]
        for axis in axes:
            deviation, widest = spread(scores, [setting[axis] for setting in settings])
            known = benchmark.validity.get(f"{trait}.{axis}{SENSITIVITY}", {}).values()
            own = [score.value for score in known if score.jobs[0] in {rows[0]["job"] for rows in subjects}]
            cells += [f"{fixed(deviation)} ({fixed(widest)})", or_dash(mean(own), "{:.0%}".format)]
        coefficients = (or_dash(each, _coefficient) for each in reliability(scores))
        table_rows.append([*cells, _lost([row for rows in subjects for row in rows]), *coefficients])
    if not table_rows:
        return
    head = ["trait", "subjects", *(part for axis in axes for part in (f"{axis.replace('_', ' ')}: spread", "turns"))]
    head += ["no option", "ICC of one form", "alpha of all"]
    asked = " x ".join(f"{axis} {len({setting[axis] for setting in settings})}" for axis in axes).replace("_", " ")
    yield element("h3", f"{benchmark.name}: {plural(len(forms), 'form')} ({asked})")
    yield table(head, table_rows, numbers=range(1, len(head)))


def _coefficient(value: float) -> str:
    """A reliability; what is below 0 has no size that means anything."""
    return fixed(value) if value >= 0 else "below 0"


def _lost(rows: Sequence[ResultRow]) -> str:
    """The share of answers that are none, in the best form and in the worst."""
    found: dict[str | None, list[float]] = {}
    for row in rows:
        if row["value"] is not None and row["metric"] in ("option_mass", "parse_failures"):
            share = 1 - row["value"] if row["metric"] == "option_mass" else row["value"]
            found.setdefault(row["form"], []).append(share)
    means = [sum(each) / len(each) for each in found.values()]
    return f"{min(means):.0%} to {max(means):.0%}" if means else "–"
