"""Comparisons across subjects: square tables of cosines and correlations, and which words go with a level.

The latter are correlations of word categories with high and low, as PersonaLLM has them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from traitgraph.runtime.analyses.correlation import REFERENCE
from traitgraph.runtime.assessment.measurement import correlation
from traitgraph.runtime.assessment.word_categories import WORDS
from traitgraph.runtime.results.subjects import strength, subject_of
from traitgraph.runtime.results.summaries import BenchmarkScores, Scores
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.study.vocabulary import Vocabulary

from .labels import fixed, number, plain, plural, signed
from .markup import Markup, element, join, table

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
    subject = subject_of(rows[0])
    strengths = (f"{name} {plain(float(text))}" for name, text in subject.strengths.items())
    of = ", ".join(filter(None, (subject.arm, subject.model, subject.context, *strengths)))
    title = f"{rows[0]['benchmark']}: {of}"
    return element(
        "figure",
        element("h3", title + (", layer by layer" if by_layer else "")),
        _layers(pairs) if by_layer else _square(pairs),
        element("p", _sentence(values, reference, conditions), class_="note"),
    )


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
        (name, [shaded(both.get((name, other), both.get((other, name)))) if other != name else "" for other in names])
        for name in names
    ]
    return _shaded_table(names, rows)


def _layers(pairs: Mapping[str, float | None]) -> Markup:
    """Pairs against layers."""
    split = {tuple(metric.split(", ", 1)): value for metric, value in pairs.items()}
    names, layers = (list(dict.fromkeys(each[place] for each in split)) for place in (0, 1))
    rows = [(name, [shaded(split.get((name, layer))) for layer in layers]) for name in names]
    return _shaded_table([layer.removeprefix("layer ") for layer in layers], rows, corner="layer")


def shaded(value: float | None) -> Markup:
    """A number on a ground whose strength shows its size; blue above zero, orange below."""
    if value is None:
        return element("td", "–", class_="number")
    tone = "var(--high)" if value > 0 else "var(--low)"
    shade = f"background: color-mix(in srgb, {tone} {min(1.0, abs(value)) * 55:.0f}%, transparent)"
    return element("td", fixed(value), class_="number", style=shade)


def _shaded_table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], corner: str = "") -> Markup:
    """A table of shaded cells, each row with its name; `corner` stands above the names."""
    head = [element("th", each, class_="number", scope="col") for each in columns]
    named = ([element("th", name, scope="row"), *row] for name, row in rows)
    return table([element("th", corner, class_="number"), *head], named, long=math.inf)


FEWEST = 2
"""Subjects at each level without which a correlation is 1 or -1, or is none."""

NOTE = (
    "Point-biserial correlation (Pearson's r, a level counting by its position: 1 at the top, 0 at the bottom) of a "
    "category's mean share with the level, over the n subjects of an arm and trait; strengths of 0 and below are left "
    "out. Strengths of one vector are no independent subjects, so nothing here is a test."
)

Group = tuple[str, str, str, str]
Pairs = Mapping[Group, list[tuple[float, float]]]


def levels_section(benchmarks: Iterable[BenchmarkScores]) -> Markup | None:
    """A table for each benchmark of words, conditions against categories; None where there is nothing to correlate."""
    tables = [found for each in benchmarks if each.kind == "words" and (found := _levels(each)) is not None]
    return join([*tables, element("p", NOTE, class_="note")]) if tables else None


def _levels(benchmark: BenchmarkScores) -> Markup | None:
    columns = {metric: _pairs(benchmark.scores[metric], benchmark.words) for metric in benchmark.main_metrics}
    rows = []
    for group, counted in columns[WORDS].items():
        known = [column.get(group, []) for column in columns.values()]
        found = [correlation([level for level, _ in pairs], [score for _, score in pairs]) for pairs in known]
        rows.append((f"{' '.join(filter(None, group))}, n = {len(counted)}", list(map(shaded, found))))
    return join([element("h3", benchmark.name), _shaded_table(list(columns), rows)]) if rows else None


def _pairs(scores: Scores, words: Vocabulary) -> Pairs:
    """Arm, model (of several), merge and trait -> level (1 at the top, 0 at the bottom) and score of each subject.

    Only of subjects pushed towards their level, and without those of which a level has too few.
    """
    several = len({subject.model for subject in scores}) > 1
    found: dict[Group, list[tuple[float, float]]] = {}
    for subject, score in scores.items():
        pushed = all(strength(text) > 0 for text in subject.strengths.values())
        if subject.trait and subject.level in words.levels and pushed:
            group = (subject.arm, subject.model if several else "", subject.merge, subject.trait)
            found.setdefault(group, []).append(((words.position(subject.level) + 1) / 2, score.value))
    counts = {group: Counter(level for level, _ in pairs) for group, pairs in found.items()}
    return {
        group: pairs
        for group, pairs in found.items()
        if len(counts[group]) > 1 and min(counts[group].values()) >= FEWEST
    }
