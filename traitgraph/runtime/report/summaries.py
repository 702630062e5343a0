"""From rows to one score per subject: the mean over repeats and seeds, with a spread that says what it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from traitgraph.specs.traits import LEVELS, TRAITS

from ..assessment.item_scores import ItemScores
from ..assessment.layer_similarity import LAYER
from ..assessment.lexicon import EMPTY, WORDS
from ..results import ResultRow

MORE_IS_BETTER = frozenset({"acc", "acc_norm", "exact_match"})
"""Metrics of lm-eval's registry whose direction is known where a row does not say it."""
MOST_CATEGORIES = 12
"""More categories of words than this are left to results.csv."""


class Subject(NamedTuple):
    """One model condition as a reader names it. Seeds are not told apart: they are repetitions."""

    arm: str
    method: str
    model: str
    trait: str
    level: str
    merge: str
    alpha: str
    gamma: str


class Score(NamedTuple):
    """A mean with its uncertainty."""

    value: float
    spread: float | None
    """What an error bar shows: the SD over seeds or else repeats when there are at least two, else the standard error.

    Repeats of one seed share its training, so with several seeds their means count, not single repeats.
    """
    stderr: float | None
    """Standard error of `value`: SD / sqrt(k) over k seeds or else repeats, else the benchmark's own (over items)."""
    over: Literal["repeats", "seeds", "items", ""]
    """What the spread is over; '' when there is none."""
    values: int
    """How many seeds or repeats the spread is over."""
    n: int | None
    """Items, pairs or documents behind each value."""
    job: str = ""
    """The assessment, when it is one; '' for a mean over several."""

    @property
    def freedom(self) -> int | None:
        """Degrees of freedom of the standard error; None where it has none."""
        count = self.n if self.over == "items" else self.values
        return count - 1 if self.over and count else None


Scores = Mapping[Subject, Score]


class BenchmarkScores(NamedTuple):
    """Everything measured by one benchmark: metric -> subject -> score, in the order of the rows."""

    name: str
    scores: dict[str, Scores]
    validity: Mapping[str, Scores]
    items: ItemScores | None = None
    """Item by item comparisons, where the single answers are at hand."""
    scale: tuple[float, float] | None = None
    """Least and largest score of a questionnaire, where the single answers are at hand."""
    first: Mapping[str, ResultRow] = {}
    """Metric -> the first row about it: what is said of the metric itself."""

    def sign(self, metric: str) -> int:
        """Of a task: 1 where more is better, -1 where less is; 0 where nobody says."""
        if self.kind != "task":
            return 1
        said = self.first[metric].get("higher_is_better") if metric in self.first else None
        if said is None:
            return int(not MORE_IS_BETTER.isdisjoint(metric.split(".")))
        return 1 if said else -1

    @property
    def kind(self) -> Literal["reply_contrast", "questionnaire", "words", "layers", "task"]:
        """What was measured, known by the metrics that only this kind has."""
        if EMPTY in self.validity:
            return "words"
        if self.scores and all(name.startswith(LAYER) for name in self.scores):
            return "layers"
        if any(name.endswith(".high_loglik") for name in self.validity):
            return "reply_contrast"
        if any(name in TRAITS for name in self.scores):
            return "questionnaire"
        return "task"

    @property
    def about_traits(self) -> bool:
        """Whether its scores are those of traits."""
        return self.kind in ("reply_contrast", "questionnaire")

    def target(self, trait: str) -> str | None:
        """The metric a subject with this trait is meant to move; None where the benchmark is about no trait."""
        return trait if trait in self.scores else None

    @property
    def main_metrics(self) -> list[str]:
        """The metrics worth a curve: domains of a questionnaire or contrast; of a group of tasks the pooled ones.

        Of words their number and the lexicon's first categories, of hidden states those after the last block.
        """
        if self.kind == "words":
            return [WORDS, *(name for name in self.scores if name != WORDS)][: 1 + MOST_CATEGORIES]
        if self.kind == "layers":
            return [next(reversed(self.scores))]
        if self.kind == "task":
            return [metric for metric in self.scores if metric.partition(".")[2] not in self.scores]
        return [trait for trait in TRAITS if trait in self.scores]


def summarise(rows: Iterable[ResultRow], items: ItemScores | None = None) -> list[BenchmarkScores]:
    """Scores of every benchmark, in the order in which the rows first name it. Undefined values are left out."""
    groups: dict[str, dict[str, dict[str, dict[Subject, list[ResultRow]]]]] = {}
    first: dict[str, dict[str, ResultRow]] = {}
    for row in rows:
        first.setdefault(row["benchmark"], {}).setdefault(row["metric"], row)
        by_role = groups.setdefault(row["benchmark"], {"score": {}, "validity": {}})
        by_subject = by_role["validity" if row["role"] == "validity" else "score"].setdefault(row["metric"], {})
        if row["value"] is not None:
            by_subject.setdefault(subject_of(row), []).append(row)
    return [
        BenchmarkScores(
            name,
            _scores(roles["score"]),
            _scores(roles["validity"]),
            items,
            items.scale(next(iter(first[name].values()))["job"]) if items else None,
            first[name],
        )
        for name, roles in groups.items()
    ]


def _scores(metrics: Mapping[str, Mapping[Subject, Sequence[ResultRow]]]) -> dict[str, Scores]:
    return {metric: {subject: _score(rows) for subject, rows in found.items()} for metric, found in metrics.items()}


def subject_of(row: ResultRow) -> Subject:
    """The subject that a row is about."""
    return Subject(*(str(row[name]) for name in Subject._fields))  # type: ignore[literal-required]  # fields are columns


def _score(rows: Sequence[ResultRow]) -> Score:
    by_seed: dict[str, list[float]] = {}
    seed_of: dict[str, str] = {}  # the base at strength 0 is one measurement, whatever seeds its rows name
    for row in rows:
        if row["value"] is not None and seed_of.setdefault(row["job"], row["seed"]) == row["seed"]:
            by_seed.setdefault(row["seed"], []).append(row["value"])
    over: Literal["seeds", "repeats"] = "seeds" if len(by_seed) > 1 else "repeats"
    values = [_mean(each) for each in by_seed.values()] if over == "seeds" else next(iter(by_seed.values()))
    mean, n = _mean(values), rows[0]["n"]
    if len(values) < 2:
        stderr = rows[0]["stderr"]
        return Score(mean, stderr, stderr, "items" if stderr is not None else "", 1, n, rows[0]["job"])
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Score(mean, deviation, deviation / math.sqrt(len(values)), over, len(values), n)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def subjects_in_order(benchmarks: Iterable[BenchmarkScores]) -> list[Subject]:
    """Every subject once: arms in the order of the rows, then trait, level, and strengths as numbers."""
    found: dict[Subject, None] = {}
    arms: dict[str, int] = defaultdict(lambda: len(arms))
    for benchmark in benchmarks:
        for metric in (*benchmark.scores.values(), *benchmark.validity.values()):
            found |= dict.fromkeys(metric)
    for subject in found:
        arms[subject.arm]
    return sorted(found, key=lambda subject: (arms[subject.arm], *subject_order(subject)))


def subject_order(subject: Subject) -> tuple[object, ...]:
    """Sort key: model, merge, trait in the order of the literature, high before low, then strengths as numbers."""
    return (
        subject.model,
        subject.merge,
        _place(subject.trait, TRAITS),
        _place(subject.level, LEVELS),
        strength(subject.gamma),
        strength(subject.alpha),
    )


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def strength(text: str) -> float:
    """An alpha or gamma as a number; NaN-free: text that is no number sorts before all numbers."""
    try:
        return float(text)
    except ValueError:
        return -math.inf
