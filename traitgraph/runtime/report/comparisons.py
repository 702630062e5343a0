"""Comparisons across subjects: square tables of cosines and correlations, and which words go with a level.

The latter are correlations of word categories with high and low, as PersonaLLM has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from traitgraph.runtime.analyses.correlation import REFERENCE
from traitgraph.runtime.assessment.measurement import correlation
from traitgraph.runtime.assessment.word_categories import WORDS
from traitgraph.specs.study.traits import LEVELS

from .labels import fixed, number, plain, plural, signed
from .markup import Markup, element, join
from .results import ResultRow
from .summaries import BenchmarkScores, Scores, Subject, strength

KINDS = ("vector_similarity", "trait_correlation")
"""First words of the names under which analyses across subjects stand in the results."""
BETWEEN = " ~ "
AGAINST_NEUROTICISM = ("conscientiousness", "extraversion", "agreeableness")
"""Traits that correlate negatively with it in every sample of people that we know."""
MOST_SHOWN = 40
"""More tables than this are left to results.csv."""


def is_comparison(row: ResultRow) -> bool:
    """Whether a row compares subjects, instead of measuring one."""
    return row["benchmark"].partition(" ")[0] in KINDS


def comparisons_section(rows: Iterable[ResultRow], references: Mapping[str, str] | None = None) -> Markup | None:
    """A table for each comparison, with its other figures in a sentence; None without any.

    `references` names the matrix that a job measures a distance to.
    """
    jobs: dict[str, list[ResultRow]] = defaultdict(list)
    for row in filter(is_comparison, rows):
        jobs[row["job"]].append(row)
    groups = list(jobs.values())
    if not groups:
        return None
    more = len(groups) - MOST_SHOWN
    note = element("p", f"{plural(more, 'more comparison')} in results.csv.", class_="note") if more > 0 else None
    named = references or {}
    return join([*(_comparison(group, named.get(group[0]["job"], "")) for group in groups[:MOST_SHOWN]), note])


def _comparison(rows: Sequence[ResultRow], reference: str) -> Markup:
    values = {row["metric"]: row["value"] for row in rows}
    conditions = next((row["n"] for row in rows if row["metric"] == "distance"), None)
    pairs = {name: value for name, value in values.items() if BETWEEN in name and not name.startswith(REFERENCE)}
    by_layer = any("," in metric for metric in pairs)
    table = _layers(pairs) if by_layer else _square(pairs)
    title = _title(rows[0]) + (", layer by layer" if by_layer else "")
    sentence = element("p", _sentence(values, reference, conditions), class_="note")
    return element("figure", element("h3", title), table, sentence)


def _title(row: ResultRow) -> str:
    about = [
        row["arm"],
        row["model"],
        *(f"{name} {plain(float(row[name]))}" for name in ("alpha", "gamma") if row[name]),
    ]
    return f"{row['benchmark']}: {', '.join(part for part in about if part)}"


def _sentence(values: Mapping[str, float | None], reference: str, conditions: int | None) -> str:
    if "distance" not in values:
        return "Cosine of the angle between two vectors; 1: the same direction, 0: nothing in common, -1: opposite."
    if (distance := values["distance"]) is None:
        return "Correlations are undefined: a trait has the same score in every condition, or there are too few."
    over = f"{conditions} conditions" if conditions else "conditions"
    to = f"the reference {reference}".strip() if reference else "a reference whose file is not known"
    text = f"Correlations of the measured scores over {over}. Distance to {to}: {fixed(distance)}"
    mean, share = values.get("distance.shuffled"), values.get("distance.shuffled_share")
    if mean is not None and share is not None:
        text += f"; with scores shuffled over conditions {fixed(mean)}, and {share:.0%} of the shuffles are as near"
    if left_out := values.get("left_out"):
        text += f". Conditions without a score for every trait, left out: {number(left_out)}"
    known = {other: values.get(f"{REFERENCE}{other}{BETWEEN}neuroticism") for other in AGAINST_NEUROTICISM}
    if odd := [f"{other} {signed(value)}" for other, value in known.items() if value and value > 0]:
        text += (
            f". In the reference neuroticism correlates positively with {' and '.join(odd)}; in people it does not: "
            "items keyed − may have been reversed twice, and a distance to it would mean little"
        )
    return text + "."


def _square(pairs: Mapping[str, float | None]) -> Markup:
    """Names against names, the diagonal empty."""
    both = {tuple(metric.split(BETWEEN)): value for metric, value in pairs.items()}
    names = list(dict.fromkeys(name for pair in both for name in pair))
    rows = [
        [
            shaded_cell(both.get((row, column), both.get((column, row)))) if row != column else element("td")
            for column in names
        ]
        for row in names
    ]
    return shaded_table(names, names, rows)


def _layers(pairs: Mapping[str, float | None]) -> Markup:
    """Pairs against layers."""
    split = {tuple(metric.split(", ", 1)): value for metric, value in pairs.items()}
    names, layers = (list(dict.fromkeys(each[place] for each in split)) for place in (0, 1))
    rows = [[shaded_cell(split.get((name, layer))) for layer in layers] for name in names]
    return shaded_table([layer.removeprefix("layer ") for layer in layers], names, rows, corner="layer")


def shaded_cell(value: float | None) -> Markup:
    """A number on a ground whose strength shows its size; blue above zero, orange below."""
    if value is None:
        return element("td", "–", class_="number")
    tone = "var(--high)" if value > 0 else "var(--low)"
    shade = f"background: color-mix(in srgb, {tone} {min(1.0, abs(value)) * 55:.0f}%, transparent)"
    return element("td", fixed(value), class_="number", style=shade)


def shaded_table(
    head: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Markup]], corner: str = ""
) -> Markup:
    """A table of shaded cells under `head`, a row for each name; `corner` stands above the names."""
    top = element(
        "tr",
        element("th", corner, class_="number"),
        *(element("th", name, class_="number", scope="col") for name in head),
    )
    body = [element("tr", element("th", name, scope="row"), *row) for name, row in zip(names, rows, strict=True)]
    inner = element("table", element("thead", top), element("tbody", *body))
    return element("div", inner, class_="scroll", tabindex="0")


FEWEST = 2
"""Subjects at each level without which a correlation is 1 or -1, or is none."""

NOTE = (
    "Point-biserial correlation (Pearson's r, high counting 1 and low 0) of a category's mean share with the level, "
    "over the n subjects of an arm and trait; strengths of 0 and below are left out. Strengths of one vector are no "
    "independent subjects, so nothing here is a test."
)

Group = tuple[str, str, str, str]
Pairs = Mapping[Group, list[tuple[float, float]]]


def levels_section(benchmarks: Iterable[BenchmarkScores]) -> Markup | None:
    """A table for each benchmark of words, conditions against categories; None where there is nothing to correlate."""
    tables = [table for each in benchmarks if each.kind == "words" and (table := _table(each)) is not None]
    return join([*tables, element("p", NOTE, class_="note")]) if tables else None


def _table(benchmark: BenchmarkScores) -> Markup | None:
    columns = {metric: _pairs(benchmark.scores[metric]) for metric in benchmark.main_metrics}
    groups = {group: len(pairs) for group, pairs in columns[WORDS].items() if _enough(pairs)}
    if not groups:
        return None
    rows = [[shaded_cell(_correlation(pairs.get(group, []))) for pairs in columns.values()] for group in groups]
    names = [f"{' '.join(filter(None, group))}, n = {count}" for group, count in groups.items()]
    return join([element("h3", benchmark.name), shaded_table(list(columns), names, rows)])


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    return correlation([level for level, _ in pairs], [score for _, score in pairs]) if _enough(pairs) else None


def _pairs(scores: Scores) -> Pairs:
    """Arm, model (of several), merge and trait -> level (1 or 0) and score of each subject pushed towards it."""
    several = len({subject.model for subject in scores}) > 1
    found: dict[Group, list[tuple[float, float]]] = {}
    for subject, score in scores.items():
        if subject.trait and subject.level in LEVELS and _is_pushed(subject):
            group = (subject.arm, subject.model if several else "", subject.merge, subject.trait)
            found.setdefault(group, []).append((float(subject.level == "high"), score.value))
    return found


def _is_pushed(subject: Subject) -> bool:
    return all(strength(text) > 0 for text in (subject.alpha, subject.gamma) if text)


def _enough(pairs: Sequence[tuple[float, float]]) -> bool:
    high = sum(level for level, _ in pairs)
    return min(high, len(pairs) - high) >= FEWEST
