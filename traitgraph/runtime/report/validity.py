"""Validity checks: what each one is, what it should be, and whether a set of subjects passes.

A benchmark names its checks itself; those known here get an explanation and a threshold, others are only listed.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from ..assessment.lexicon import CUT, EMPTY
from .summaries import BenchmarkScores, Scores
from .wording import fixed


class Check(NamedTuple):
    """One kind of validity check."""

    meaning: str
    wanted: str
    low: float | None
    """Values below this fail."""
    high: float | None
    """Values above this fail."""
    fault: str
    """What a failure means, with {value}."""


def _unread(meaning: str) -> Check:
    return Check(meaning, "at most 0.1", low=None, high=0.1, fault="{value} of the answers could not be read")


CHECKS: dict[str, Check] = {
    "option_mass": Check(
        "probability that the answer is one of the options at all",
        "at least 0.5",
        low=0.5,
        high=None,
        fault="only {value} of the probability lies on the options",
    ),
    "order_correlation": Check(
        "correlation over items of the answers with the options listed forward and backward",
        "at least 0.5",
        low=0.5,
        high=None,
        fault="answers with the options listed forward and backward correlate at {value}",
    ),
    "yes_no_mass": Check(
        "probability that the answer is yes or no",
        "at least 0.5",
        low=0.5,
        high=None,
        fault="only {value} of the probability lies on yes and no",
    ),
    "yes_bias": Check(
        "agreement whatever is asked: mean P(yes) over both directions of keying, minus one half",
        "within ±0.25",
        low=-0.25,
        high=0.25,
        fault="agreement whatever is asked is {value} away from balance",
    ),
    EMPTY: Check(
        "share of texts without any word; they are left out of the shares",
        "at most 0.1",
        low=None,
        high=0.1,
        fault="{value} of the texts have no word",
    ),
    CUT: Check(
        "share of texts that ended at max_new_tokens, not by the model",
        "at most 0.5",
        low=None,
        high=0.5,
        fault="{value} of the texts were cut at max_new_tokens",
    ),
    "failures": _unread("share of answers that were no number, or in which nothing was found"),
    "refusals": Check(
        "share of free answers in which a judge found nothing to rate; they are left out",
        "at most 0.1",
        low=None,
        high=0.1,
        fault="{value} of the answers had nothing to rate",
    ),
    "parse_failures": _unread(
        "share of written answers, or of a judge's replies, without a number of the scale; they are left out"
    ),
}
"""Thresholds are ours: half of the mass, half of a perfect correlation, a quarter of the probability scale,
a tenth of the answers, half of the texts where they are cut."""

SUFFIXES: dict[str, str] = {
    "high_loglik": "log-likelihood of the held-out replies of a person high in the trait [nats per token]",
    "low_loglik": "log-likelihood of the held-out replies of a person low in the trait [nats per token]",
    "fluency": "how well answers read, rated by a judge from 1 to 5",
    "yes_no": "log-odds of yes, keyed by direction, + and − items taken apart [nats]",
}


class Checked(NamedTuple):
    """One check over the subjects of a benchmark; ranges are (lowest, highest), None where there is no such subject."""

    name: str
    meaning: str
    wanted: str
    direct: float | None
    conditions: tuple[float, float] | None
    vectors: tuple[float, float] | None
    failing: int
    """Subjects beyond the threshold; 0 where there is none."""
    subjects: int
    fault: str | None
    """What is wrong with most subjects, told by the median one; None when most pass or there is no threshold."""


def checks_of(benchmark: BenchmarkScores) -> list[Checked]:
    """Every validity metric of a benchmark, in the order of the rows; 'chance' is a reference, not a check."""
    return [_checked(name, scores) for name, scores in benchmark.validity.items() if name != "chance" and scores]


YES_NO_FORM = frozenset({"yes_no_mass", "yes_bias"})
"""Checks of the yes/no form, which scores nothing."""


def faults_of(benchmark: BenchmarkScores) -> list[str]:
    """The checks that bear on the scores and that most subjects fail, in words."""
    return [check.fault for check in checks_of(benchmark) if check.fault and check.name not in YES_NO_FORM]


def partial_faults_of(benchmark: BenchmarkScores) -> list[str]:
    """The checks that bear on the scores and that some subjects fail: 'option_mass in 7 of 37 subjects'."""
    return [
        f"{check.name} in {check.failing} of {check.subjects} subjects"
        for check in checks_of(benchmark)
        if check.failing and not check.fault and check.name not in YES_NO_FORM
    ]


def _checked(name: str, scores: Scores) -> Checked:
    known = CHECKS.get(name)
    meaning = known.meaning if known else SUFFIXES.get(name.rpartition(".")[2], "")
    direct = [score.value for subject, score in scores.items() if subject.method == "direct"]
    strengths = [score.value for subject, score in scores.items() if subject.alpha or subject.gamma]
    others = [
        score.value
        for subject, score in scores.items()
        if subject.method != "direct" and not subject.alpha + subject.gamma
    ]
    values = sorted(score.value for score in scores.values())
    failing = sum(_fails(known, value) for value in values) if known else 0
    return Checked(
        name,
        meaning,
        known.wanted if known else "",
        direct[0] if direct else None,
        _range(others),
        _range(strengths),
        failing,
        len(values),
        known.fault.format(value=fixed(median(values))) if known and 2 * failing > len(values) else None,
    )


def _fails(check: Check, value: float) -> bool:
    return (check.low is not None and value < check.low) or (check.high is not None and value > check.high)


def _range(values: list[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
