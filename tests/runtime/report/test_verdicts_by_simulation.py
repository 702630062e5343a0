"""How often verdicts are wrong, and how often a true gap is found: simulated answers through the report's own rules.

A subject's log-probabilities of the options are those of its base with noise in every item, order and option; besides,
every subject has preferences for letters and an agreement of its own, which all its items share. Under the null none of
it knows what an item is keyed for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from traitgraph.runtime.assessment.questionnaires.item_scores import ItemAnswers, item_answers
from traitgraph.runtime.report.findings import judge
from traitgraph.runtime.report.separation import Finding
from traitgraph.runtime.results.summaries import summarise

from .rows import DOMAINS, row

Array = np.ndarray[Any, Any]
STUDIES = 150
STEPS = np.arange(5) - 2.0
MINI_IPIP = dict.fromkeys(DOMAINS, (2, 2)) | {"openness": (1, 3)}
"""Trait -> items keyed + and items keyed −."""
LONG = dict.fromkeys(DOMAINS, (13, 11))
"""As IPIP-NEO-120 has it on average."""


class Answered:
    """Answers of simulated subjects, in the place of those that a store holds."""

    def __init__(self) -> None:
        self.answers: dict[str, ItemAnswers] = {}

    def of(self, job: str) -> ItemAnswers:
        return self.answers[job]

    def scale(self, job: str) -> tuple[float, float]:
        return (1.0, 5.0)


class Form:
    """The items of a questionnaire."""

    def __init__(self, counts: dict[str, tuple[int, int]]) -> None:
        signs = [(trait, sign) for trait, (plus, minus) in counts.items() for sign in [1] * plus + [-1] * minus]
        self.traits = [trait for trait, _ in signs]
        self.keyed = np.array([sign for _, sign in signs])

    def rows(self, subject: Array) -> Iterator[dict[str, object]]:
        """Raw answers by the likelihood of letters; `subject` is [item, order, step], log-probabilities."""
        for place, (trait, both) in enumerate(zip(self.traits, subject.tolist(), strict=True)):
            yield {"item": place, "trait": trait, "keyed": int(self.keyed[place]), "scale": [1, 5],
                   "logprobs_forward": both[0], "logprobs_backward": both[1]}  # fmt: skip

    def written(self, subject: Array, repeats: int, temperature: float, rng: np.random.Generator,
                ) -> Iterator[dict[str, object]]:  # fmt: skip
        """Raw written answers, drawn once a repeat; at temperature 0 all repeats are the same."""
        logprobs = subject.mean(axis=1)
        noise = rng.gumbel(size=(repeats, *logprobs.shape)) * temperature if temperature else np.zeros((repeats, 1, 1))
        drawn = 1 + (logprobs + noise).argmax(axis=-1)
        for repeat, answers in enumerate(drawn.tolist()):
            for place, (trait, answer) in enumerate(zip(self.traits, answers, strict=True)):
                yield {"item": place, "repeat": repeat, "trait": trait, "keyed": int(self.keyed[place]),
                       "scale": [1, 5], "text": str(answer), "answer": answer}  # fmt: skip

    def subject(self, base: Array, noise: float, shared: float, rng: np.random.Generator) -> Array:
        """A subject's log-probabilities, [item, order, step]: its base with noise, and preferences of its own."""
        letters = rng.normal(0, shared, 5)
        agreement = rng.normal(0, 0.3 * shared) * STEPS
        return base + rng.normal(0, noise, (len(self.keyed), 2, 5)) + np.stack([letters, letters[::-1]]) + agreement


def findings(
    form: Form, rng: np.random.Generator, *, noise: float, temperature: float, repeats: int | None = None,
    tilt: float = 0.0, shared: float = 1.0, spread: float = 1.0,
) -> list[Finding]:  # fmt: skip
    """The verdicts of one study: five traits, each at both levels under its own prompt."""
    answered, rows = Answered(), []
    base = rng.normal(0, spread, (len(form.keyed), 1, 5))
    for trait in DOMAINS:
        own = np.array([name == trait for name in form.traits])
        for level, sign in (("high", 1), ("low", -1)):
            subject = form.subject(base, noise, shared, rng)
            subject += (sign * tilt * form.keyed * own)[:, None, None] * STEPS
            raw = form.rows(subject) if repeats is None else form.written(subject, repeats, temperature, rng)
            answered.answers[job := f"{trait} {level}"] = item_answers(raw, temperature)
            rows += [
                row(arm="told", method="prompt", trait=trait, level=level, benchmark="q", metric=trait, repeat=repeat,
                    value=3.0, job=job)
                for repeat in range(repeats or 1)
            ]  # fmt: skip
    (found,) = judge(summarise(rows, answered))  # type: ignore[arg-type]  # stands in for a store
    return found.found


CLEAR = ("moves", "reversed", "shared")


def test_letters_give_a_clear_verdict_by_chance_in_five_percent_of_cases() -> None:
    """Answers by letter, expected answers: for weak and strong noise, at both temperatures; by trait and by study."""
    for noise in (0.3, 1.0, 3.0):
        for temperature in (0.0, 0.6):
            assert_rarely_clear(noise=noise, temperature=temperature)


@pytest.mark.parametrize(("repeats", "studies"), [(1, 150), (5, 150), (50, 60)])
def test_repeats_give_no_more_clear_verdicts(repeats: int, studies: int) -> None:
    """Written answers: fifty repeats know the items better, and say no more about other items."""
    assert_rarely_clear(noise=1.0, temperature=0.6, repeats=repeats, studies=studies)


def test_equal_repeats_are_one_measurement() -> None:
    """At temperature 0 five repeats give the verdicts of one."""
    form = Form(MINI_IPIP)
    once, five = (
        [findings(form, np.random.default_rng(seed), noise=1.0, temperature=0.0, repeats=repeats) for seed in range(5)]
        for repeats in (1, 5)
    )
    for one, other in zip(once, five, strict=True):
        assert [(each.change, each.verdict) for each in one] == [(each.change, each.verdict) for each in other]


def assert_rarely_clear(noise: float, temperature: float, repeats: int | None = None, studies: int = STUDIES) -> None:
    form, rng = Form(MINI_IPIP), np.random.default_rng(1)
    found = [
        [finding.verdict in CLEAR for finding in findings(
            form, rng, noise=noise, temperature=temperature, repeats=repeats)]
        for _ in range(studies)
    ]  # fmt: skip
    for share, count in ((np.mean(found), 5 * studies), (np.any(found, axis=1).mean(), studies)):
        assert share <= 0.05 + 2 * (0.05 * 0.95 / count) ** 0.5, (noise, temperature, repeats, share)


SPREAD = 0.5
"""Standard deviation of the options' log-probabilities over items, where power is measured. [nats]"""


def tilt_of(gap: float, noise: float) -> float:
    """The tilt that gives a true gap at temperature 0.6, in points, on average over items, orders and letters."""
    base = np.random.default_rng(2).normal(0, np.hypot(SPREAD, 1.4 * noise), (4000, 5))

    def points(tilt: float) -> float:
        weights = [np.exp((base + sign * tilt * STEPS) / 0.6) for sign in (1, -1)]
        high, low = (each @ STEPS / each.sum(axis=1) for each in weights)
        return float(np.mean(high - low))

    return float(next(tilt for tilt in np.arange(0, 1, 0.001) if points(tilt) >= gap))


def test_a_gap_of_a_third_of_a_point_is_found() -> None:
    """In 20 of 30 studies with a form of 20 items, and in 28 of 30 with one of 120 and three times the noise."""
    for form, noise, least in ((Form(MINI_IPIP), 0.1, 20), (Form(LONG), 0.3, 28)):
        rng, tilt = np.random.default_rng(3), tilt_of(0.33, noise)
        studies = [
            findings(form, rng, noise=noise, temperature=0.6, tilt=tilt, shared=noise, spread=SPREAD) for _ in range(30)
        ]
        counts = [sum(study[trait].verdict == "moves" for study in studies) for trait in range(5)]
        assert np.mean(counts) >= least, counts
