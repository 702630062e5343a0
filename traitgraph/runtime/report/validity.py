"""Validity checks: what each one is, what it should be, and whether a set of subjects passes.

A benchmark names its checks itself; those known here get an explanation and a threshold, others are only listed.
"""

from __future__ import annotations

import math
from statistics import median
from typing import NamedTuple

from traitgraph.runtime.assessment.questionnaires.form_scores import SENSITIVITY
from traitgraph.runtime.assessment.reply_contrast import LOGLIK, SAME_REPLIES, SHARED_PROMPTS
from traitgraph.runtime.assessment.word_categories import CUT, EMPTY
from traitgraph.runtime.results.subjects import Subject
from traitgraph.runtime.results.summaries import BenchmarkScores, Scores

from .labels import fixed


class Check(NamedTuple):
    """One kind of validity check."""

    meaning: str
    fault: str
    """What a failure means, with {value}."""
    low: float = -math.inf
    """Values below this fail."""
    high: float = math.inf
    """Values above this fail."""

    @property
    def wanted(self) -> str:
        """The limits in words."""
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if math.isinf(self.low) else f"within ±{self.high:g}"

    def fails(self, value: float) -> bool:
        """Whether a value lies beyond the limits."""
        return not self.low <= value <= self.high


CHECKS: dict[str, Check] = {
    "option_mass": Check(
        "Does it answer with an option at all? Probability of all option letters together, mean over items and both "
        "orders of the options.",
        "only {value} of the probability lies on the options",
        low=0.5,
    ),
    "order_correlation": Check(
        "Does it answer the item, or the place in the list? Correlation over items between answers with the options "
        "listed forward and backward.",
        "answers with the options listed forward and backward correlate at {value}",
        low=0.5,
    ),
    "yes_no_mass": Check(
        "Does it answer yes or no at all? Probability of both together, mean over items.",
        "only {value} of the probability lies on yes and no",
        low=0.5,
    ),
    "yes_bias": Check(
        "Does it say yes whatever is asked? Mean probability of yes over items keyed + and items keyed −, minus one "
        "half.",
        "yes, whatever is asked, lies {value} from one half",
        low=-0.25,
        high=0.25,
    ),
    EMPTY: Check(
        "Does it write anything? Share of texts without a word; they are left out of the shares.",
        "{value} of the texts have no word",
        high=0.1,
    ),
    CUT: Check(
        "Does it come to an end? Share of texts that max_new_tokens cut off.",
        "{value} of the texts were cut at max_new_tokens",
        high=0.5,
    ),
    "failures": Check(
        "Is there an answer to score? Share of questions with a likelihood that is not a number, or a text in which "
        "the task finds no answer; they count as the task counts them.",
        "{value} of the questions have no answer that can be read",
        high=0.1,
    ),
    "disclaimers": Check(
        "Does it speak as a person? Share of the raw texts that call their author an AI ('As an AI ...').",
        "{value} of the texts call their author an AI",
        high=0.1,
    ),
    "refusals": Check(
        "Does it answer the question? Share of free answers in which the judge found nothing to rate; they are left "
        "out.",
        "{value} of the answers had nothing to rate",
        high=0.1,
    ),
    "parse_failures": Check(
        "Is there a number of the scale? Share of written answers, or of a judge's replies, without one; they are left "
        "out.",
        "{value} of the answers have no number of the scale",
        high=0.1,
    ),
}
"""Thresholds are ours: half of the mass, half of a perfect correlation, a quarter of the probability scale,
a tenth of the answers, half of the texts where they are cut."""

SUFFIXES: dict[str, str] = {
    SHARED_PROMPTS: "Are the held-out prompts new? Share of held-out rows whose prompt stands in the training split of "
    "the same data as well, with another reply; absent where none does.",
    SAME_REPLIES: "Do both levels say different things? Share of held-out pairs with one reply at both; they are left "
    "out. Absent where there is none.",
    "system_as_user": "Where does the prompt stand? 1: at the head of the user's message, as the template has no place "
    "for a system message.",
    "fluency": "Does it still write well? The judge's rating of the answers, from 1 to 5.",
    "yes_no": "Do yes and no agree with the scale? Log-odds of yes, items keyed − turned round [nats].",
}
"""Figures without a threshold, by the last part of their name."""
OF_A_LEVEL = (
    "Which part of the contrast moves? Log-likelihood of the {level} replies that were held out [nats per token]."
)


class Checked(NamedTuple):
    """One check over the subjects of a benchmark; ranges are (lowest, highest), None where there is no such subject."""

    name: str
    meaning: str
    wanted: str
    direct: float | None
    conditions: tuple[float, float] | None
    vectors: tuple[float, float] | None
    failing: int
    """Subjects beyond the threshold, each counted once whatever its names; 0 where there is none."""
    subjects: int
    fault: str | None
    """What is wrong with most subjects, told by the median one; None when most pass or there is no threshold."""


def checks_of(benchmark: BenchmarkScores) -> list[Checked]:
    """Every validity metric of a benchmark, in the order of the rows.

    'chance' is a reference, not a check, and sensitivities to forms have a table of their own.
    """
    return [
        _checked(name, scores)
        for name, scores in benchmark.validity.items()
        if scores and name != "chance" and not name.endswith(SENSITIVITY)
    ]


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


def failing(benchmark: BenchmarkScores, *subjects: Subject) -> tuple[str, ...]:
    """The checks that bear on the scores and that one of these subjects fails."""
    return tuple(
        name
        for name, scores in benchmark.validity.items()
        if (check := CHECKS.get(name)) and name not in YES_NO_FORM
        if any(subject in scores and check.fails(scores[subject].value) for subject in subjects)
    )


def _checked(name: str, scores: Scores) -> Checked:
    known = CHECKS.get(name)
    last = name.rpartition(".")[2]
    of_level = OF_A_LEVEL.format(level=last.removesuffix(LOGLIK)) if last.endswith(LOGLIK) else ""
    meaning = known.meaning if known else SUFFIXES.get(last, of_level)
    base = [subject for subject in scores if subject.method == "direct"]
    base = [subject for subject in base if subject.context == base[0].context]
    strengths = [score.value for subject, score in scores.items() if subject.strengths]
    others = [score.value for subject, score in scores.items() if subject not in base and not subject.strengths]
    # What stands under several names (the base at strength 0 of each vector) is one subject.
    values = list({score.jobs: score.value for score in scores.values()}.values())
    failing = sum(map(known.fails, values)) if known else 0
    return Checked(
        name,
        meaning,
        known.wanted if known else "",
        scores[base[0]].value if base else None,
        _range(others),
        _range(strengths),
        failing,
        len(values),
        known.fault.format(value=fixed(median(values))) if known and 2 * failing > len(values) else None,
    )


def _range(values: list[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
