"""From rows to one score per subject: the mean over repeats and seeds, with its error over items and seeds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from statistics import median_low, stdev
from types import MappingProxyType
from typing import Literal, NamedTuple

from traitgraph.runtime.assessment.layer_similarity import LAYER
from traitgraph.runtime.assessment.measurement import mean
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.assessment.questionnaires.items import FACET
from traitgraph.runtime.assessment.reply_contrast import LOGLIK
from traitgraph.runtime.assessment.word_categories import EMPTY, WORDS
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

from .statistics import Estimate, combined, reweighed
from .subjects import Subject, subject_of, subject_order
from .table import ResultRow, coordinates

MORE_IS_BETTER = frozenset({"acc", "acc_norm", "exact_match"})
"""Metrics of lm-eval's registry whose direction is known where a row does not say it."""
MOST_CATEGORIES = 12
"""More categories of words than this are left to results.csv."""


class Score(NamedTuple):
    """A mean with its uncertainty: over items, and over seeds where there are several. Repeats are no sample."""

    value: float
    stderr: float | None
    freedom: float | None
    """Degrees of freedom of the standard error; None where nothing tells it."""
    over: Literal["items", "items and seeds", "seeds", ""]
    """What the standard error is over; '' when there is none."""
    n: int | None
    """Items, pairs or documents with a usable answer (in half of the repeats or more)."""
    jobs: tuple[str, ...] = ()
    """The assessments behind it, one a seed."""
    by_repeat: tuple[int, int] | None = None
    """The fewest and the most usable answers of a repeat; None where nothing is asked again."""
    total: int = 0
    """Usable answers of all repeats and seeds."""
    repeats: int = 1
    noise: float | None = None
    """Standard deviation of the score over repeats of one seed: how far answers are drawn apart."""
    over_seeds: tuple[float, float] | None = None
    """Standard error over seeds and its degrees of freedom, where there are several."""
    effective: float | None = None
    """The strength that survives rounding, where the results tell it."""

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval."""
        return Estimate(self.value, self.stderr, self.freedom).half


Scores = Mapping[Subject, Score]
Rows = Mapping[str, Mapping[Subject, Sequence[ResultRow]]]
"""Those of each metric and subject."""


class BenchmarkScores(NamedTuple):
    """Everything measured by one benchmark: metric -> subject -> score, in the order of the rows."""

    name: str
    scores: dict[str, Scores]
    validity: Mapping[str, Scores]
    items: ItemScores | None = None
    """Item by item comparisons, where the single answers are at hand."""
    scale: tuple[float, float] | None = None
    """Least and largest score of a questionnaire, where the single answers are at hand."""
    missing: frozenset[Subject] = frozenset()
    """Subjects that the study has and the results lack."""
    rows: Rows = MappingProxyType({})
    """The rows behind the scores, those without a value among them."""
    forms: Sequence[ResultRow] = ()
    """The rows of single forms of a questionnaire: what is over all of them are the scores."""
    words: Vocabulary = BIG_FIVE
    """The traits and levels of the study."""

    def sign(self, metric: str) -> int:
        """Of a task: 1 where more is better, -1 where less is; 0 where nobody says."""
        if self.kind != "task":
            return 1
        said = self.said_of(metric, "higher_is_better")
        if said is None:
            return int(not MORE_IS_BETTER.isdisjoint(metric.split(".")))
        return 1 if said else -1

    def said_of(self, metric: str, what: Literal["higher_is_better", "filter"]) -> str | bool | None:
        """What the first row of a metric says of the metric itself."""
        rows = chain.from_iterable(self.rows.get(metric, {}).values())
        first = next(rows, None)
        return None if first is None else first.get(what)

    @property
    def kind(self) -> Literal["reply_contrast", "questionnaire", "words", "layers", "task"]:
        """What was measured, known by the metrics that only this kind has."""
        if EMPTY in self.validity:
            return "words"
        if self.scores and all(name.startswith(LAYER) for name in self.scores):
            return "layers"
        if any(name.endswith(LOGLIK) for name in self.validity):
            return "reply_contrast"
        if any(name in self.words.traits or name in BIG_FIVE.traits for name in self.scores) or (
            not self.scores and "parse_failures" in self.validity
        ):
            return "questionnaire"
        return "task"

    @property
    def about_traits(self) -> bool:
        """Whether its scores are those of traits."""
        return self.kind in ("reply_contrast", "questionnaire")

    @property
    def main_metrics(self) -> list[str]:
        """The metrics worth a curve: traits of a questionnaire or contrast, those of no vocabulary last; of a group of
        tasks the pooled ones.

        Of words their number and the lexicon's first categories, of hidden states those after the last block.
        """
        if self.kind == "words":
            return [WORDS, *(name for name in self.scores if name != WORDS)][: 1 + MOST_CATEGORIES]
        if self.kind == "layers":
            return [next(reversed(self.scores))]
        if self.kind == "task":
            return [metric for metric in self.scores if metric.partition(".")[2] not in self.scores]
        others = (name for name in self.scores if "." not in name and not name.startswith(FACET))
        return list(dict.fromkeys((*self.words.in_order(self.scores), *BIG_FIVE.in_order(self.scores), *others)))


def summarise(
    rows: Iterable[ResultRow],
    items: ItemScores | None = None,
    missing: Iterable[Cell] = (),
    words: Vocabulary = BIG_FIVE,
) -> list[BenchmarkScores]:
    """Scores of every benchmark, in the order in which the rows first name it.

    Undefined values are left out. With `items`, errors are those over items.
    `missing` are assessments that are not there, `words` the traits and levels of the study.
    """
    absent = [(cell.benchmark, subject_of(coordinates(cell))) for cell in missing]
    groups = defaultdict[str, list[ResultRow]](list)
    for row in rows:
        groups[row["benchmark"]].append(row)
    return [
        BenchmarkScores(
            name,
            _scores(scored := _by_subject(row for row in own if row["role"] != "validity"), items),
            _scores(_by_subject(row for row in own if row["role"] == "validity"), None),
            items,
            items.scale(own[0]["job"]) if items else None,
            frozenset(subject for benchmark, subject in absent if benchmark == name),
            scored,
            [row for row in asked if row.get("form") is not None],
            words,
        )
        for name, asked in groups.items()
        for own in [[row for row in asked if row.get("form") is None]]
    ]


def _by_subject(rows: Iterable[ResultRow]) -> Rows:
    found: dict[str, dict[Subject, list[ResultRow]]] = {}
    for row in rows:
        found.setdefault(row["metric"], {}).setdefault(subject_of(row), []).append(row)
    return found


def _scores(metrics: Rows, items: ItemScores | None) -> dict[str, Scores]:
    return {
        metric: {
            subject: _score(metric, own, items)
            for subject, own in found.items()
            if any(row["value"] is not None for row in own)
        }
        for metric, found in metrics.items()
    }


def _score(metric: str, found: Sequence[ResultRow], items: ItemScores | None) -> Score:
    """The score of one subject; a row or more of it has a value."""
    seed_of = {row["job"]: row["seed"] for row in reversed(found)}
    # The base at strength 0 is one measurement, whatever seeds its rows name.
    rows = [row for row in found if seed_of[row["job"]] == row["seed"]]
    known, seeds = [row for row in rows if row["value"] is not None], dict[int | None, list[ResultRow]]()
    for row in known:
        seeds.setdefault(row["seed"], []).append(row)
    each = [_of_seed(metric, own, items) for own in seeds.values()]
    # The same items in every seed: their error does not become less by more seeds.
    widest = max(each, key=lambda score: (score.stderr is not None, score.stderr or 0.0))
    counts = [row["n"] or 0 for row in rows]
    noise = [score.noise for score in each if score.noise is not None]
    effective = [value for row in known if (value := row.get("effective_alpha")) is not None]
    score = widest._replace(
        n=min((score.n for score in each if score.n is not None), default=None),
        jobs=tuple(score.jobs[0] for score in each),
        by_repeat=(min(counts), max(counts)) if rows[0]["repeat"] is not None else None,
        total=sum(counts),
        repeats=max(len(own) for own in seeds.values()),
        noise=mean(noise),
        effective=mean(effective),
    )
    if len(each) == 1:
        return score
    centre, stderr, freedom = Estimate.over([one.value for one in each])
    whole = combined(centre, [(stderr, freedom), *([widest[1:3]] if widest.over else [])])
    assert stderr is not None, "of two seeds or more"
    assert freedom is not None, "of two seeds or more"
    return score._replace(
        value=centre,
        stderr=whole.stderr,
        freedom=whole.freedom,
        over="items and seeds" if widest.over else "seeds",
        over_seeds=(stderr, freedom),
    )


def _of_seed(metric: str, rows: Sequence[ResultRow], items: ItemScores | None) -> Score:
    """The score of one assessment."""
    values = [row["value"] for row in rows if row["value"] is not None]
    answers = items.of(rows[0]["job"]).get(metric, {}) if items else {}
    known = [(answer.value, answer.weight) for answer in answers.values() if answer.value is not None]
    usable = reweighed([value for value, _ in known], [weight for _, weight in known])
    repeated, centre = rows[0]["repeat"] is not None, math.fsum(values) / len(values)
    sizes = [] if repeated else [len(answer.values) for answer in answers.values() if answer.value is not None]
    found, n = Estimate.over(usable, sizes) if usable else Estimate(centre), len(usable)
    # Of what is asked once the error is that of the rows, but where tasks share documents and so count them twice.
    if not (repeated and usable) and not (
        max(sizes, default=1) > 1 and math.isclose(found.value, centre, abs_tol=1e-6)
    ):
        # Repeats say how answers are drawn, not how items differ; each asks the same items, so the error stays.
        errors, n = [row["stderr"] for row in rows], median_low([row["n"] or 0 for row in rows])
        stderr = None if None in errors or n < 2 else max(filter(None, errors), default=0.0)
        found = Estimate(centre, stderr, n - 1 if stderr is not None else None)
    return Score(
        *found,
        over="items" if found.stderr is not None else "",
        n=0 if repeated and answers and not usable else n or None,  # 0: none answered in half of the repeats
        jobs=(rows[0]["job"],),
        noise=stdev(values) if len(values) > 1 else None,
    )


def subjects_in_order(benchmarks: Iterable[BenchmarkScores]) -> list[Subject]:
    """Every subject once: arms in the order of the rows, then trait, level, and strengths as numbers."""
    known = list(benchmarks)
    words = known[0].words if known else BIG_FIVE
    groups = (scores for each in known for scores in (*each.scores.values(), *each.validity.values()))
    found = list(dict.fromkeys(chain.from_iterable(groups)))
    arms = list(dict.fromkeys(subject.arm for subject in found))
    return sorted(found, key=lambda subject: (arms.index(subject.arm), *subject_order(subject, words)))
