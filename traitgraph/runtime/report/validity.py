"""Validity checks: what each one is, what it should be, and whether a set of subjects passes.

A benchmark names its checks itself; those known here get an explanation and a threshold, others are only listed.
"""

from __future__ import annotations

from typing import NamedTuple

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
    "failures": Check(
        "share of answers that were no number, or in which nothing was found",
        "at most 0.1",
        low=None,
        high=0.1,
        fault="{value} of the answers could not be read",
    ),
}
"""Thresholds are ours: half of the mass, half of a perfect correlation, a quarter of the probability scale,
a tenth of the answers."""

SUFFIXES: dict[str, str] = {
    "high_loglik": "log-likelihood of the held-out replies of a person high in the trait [nats per token]",
    "low_loglik": "log-likelihood of the held-out replies of a person low in the trait [nats per token]",
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
    fault: str | None
    """What is wrong, judged on the median subject; None when it passes or has no threshold."""


def checks_of(benchmark: BenchmarkScores) -> list[Checked]:
    """Every validity metric of a benchmark, in the order of the rows; 'chance' is a reference, not a check."""
    return [_checked(name, scores) for name, scores in benchmark.validity.items() if name != "chance" and scores]


def faults_of(benchmark: BenchmarkScores) -> list[str]:
    """The failed checks that bear on the scores, in words."""
    related = {"yes_no_mass", "yes_bias"}  # of the yes/no form, which scores nothing
    return [check.fault for check in checks_of(benchmark) if check.fault and check.name not in related]


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
    fault = _fault(known, sorted(score.value for score in scores.values())) if known else None
    return Checked(
        name,
        meaning,
        known.wanted if known else "",
        direct[0] if direct else None,
        _range(others),
        _range(strengths),
        fault,
    )


def _fault(check: Check, values: list[float]) -> str | None:
    median = values[len(values) // 2]
    too_low = check.low is not None and median < check.low
    too_high = check.high is not None and median > check.high
    return check.fault.format(value=fixed(median)) if too_low or too_high else None


def _range(values: list[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
