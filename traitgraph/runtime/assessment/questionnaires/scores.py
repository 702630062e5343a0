"""From option likelihoods to domain scores and validity checks: arithmetic only, no model.

Within an order the options' likelihoods are normalised at the sampling temperature; the two orders are averaged. Each
repeat draws one answer per item from that distribution. Draws depend on (seed, repeat, item) alone: subjects that agree
give the same answers, so their differences are not sampling noise. A reversed item counts min + max - x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Metric, correlation, mean
from traitgraph.specs.study.training import Sampling
from traitgraph.specs.study.traits import Trait

from .items import Item, Questionnaire


class ItemAnswers(NamedTuple):
    """What a subject thinks of each answer to one item."""

    item: Item
    orders: tuple[tuple[float, ...], tuple[float, ...]]
    """log p of each step of the scale, lowest first, with the options listed forward and backward. [nats]"""
    yes_no: tuple[float, ...]
    """log p of yes and of no. [nats]"""


def questionnaire_metrics(
    questionnaire: Questionnaire, answers: Sequence[ItemAnswers], sampling: Sampling
) -> list[Metric]:
    """All metrics of one administration.

    score     <trait>            domain mean of the drawn answers, one a repeat
              <trait>.expected   what the mean of infinitely many repeats would be
    validity  option_mass        probability that the answer is one of the options at all
              order_correlation  r over items between the expected answers of the two orders; negative: letters, not
                                 content, were chosen
              yes_no_mass        probability of yes or no
              yes_bias           mean P(yes) of + and of - items, averaged, minus 0.5: agreement whatever the statement
              <trait>.yes_no     log-odds of yes, (+ items) minus (- items), halved; undefined without both kinds
    """
    return [
        *(_drawn(questionnaire, answers, sampling, trait, repeat)
          for trait in questionnaire.traits() for repeat in range(sampling.repeats)),
        *(_expected(questionnaire, answers, sampling, trait) for trait in questionnaire.traits()),
        _mass("option_mass", [order for answer in answers for order in answer.orders]),
        _order_correlation(answers),
        _mass("yes_no_mass", [answer.yes_no for answer in answers]),
        _yes_bias(answers),
        *(_keyed_log_odds(answers, trait) for trait in questionnaire.traits()),
    ]  # fmt: skip


def option_probabilities(logprobs: Sequence[float], temperature: float) -> list[float]:
    """Softmax over the options at a temperature; at 0 all mass on the likeliest (shared among equals).

    >>> option_probabilities([0.0, 0.0], 0.6), option_probabilities([-1.0, -3.0], 0)
    ([0.5, 0.5], [1.0, 0.0])
    """
    top = max(logprobs)
    if temperature == 0:
        weights = [1.0 if value == top else 0.0 for value in logprobs]
    else:
        weights = [math.exp((value - top) / temperature) for value in logprobs]
    return [weight / math.fsum(weights) for weight in weights]


def answer_distribution(answer: ItemAnswers, temperature: float) -> list[float]:
    """Probability of each step of the scale, lowest first: both orders averaged."""
    forward, backward = (option_probabilities(order, temperature) for order in answer.orders)
    return [(a + b) / 2 for a, b in zip(forward, backward, strict=True)]


def sampled_step(answer: ItemAnswers, sampling: Sampling, repeat: int) -> int:
    """The step drawn for one item in one repeat, counted from 0."""
    draw = _uniform(sampling.seed, repeat, answer.item.id)
    reached = 0.0
    probabilities = answer_distribution(answer, sampling.temperature)
    for step, probability in enumerate(probabilities):
        reached += probability
        if draw < reached:
            return step
    return max(step for step, probability in enumerate(probabilities) if probability > 0)  # rounding left a gap at 1


def _uniform(seed: int, repeat: int, item: int) -> float:
    """A number in [0, 1) that depends on its three arguments alone."""
    digest = blake2b(f"answer/{seed}/{repeat}/{item}".encode(), digest_size=7).digest()
    return (int.from_bytes(digest) >> 3) / 2**53


def _drawn(
    questionnaire: Questionnaire, answers: Sequence[ItemAnswers], sampling: Sampling, trait: Trait, repeat: int
) -> Metric:
    low = questionnaire.response_scale.min
    values = [
        keyed_value(questionnaire, answer.item, low + sampled_step(answer, sampling, repeat))
        for answer in answers
        if answer.item.trait == trait
    ]
    return Metric(trait, mean(values), len(values), repeat=repeat)


def _expected(questionnaire: Questionnaire, answers: Sequence[ItemAnswers], sampling: Sampling, trait: Trait) -> Metric:
    low = questionnaire.response_scale.min
    values = [
        keyed_value(questionnaire, answer.item, low + _centre(answer_distribution(answer, sampling.temperature)))
        for answer in answers
        if answer.item.trait == trait
    ]
    return Metric(f"{trait}.expected", mean(values), len(values))


def keyed_value(questionnaire: Questionnaire, item: Item, value: float) -> float:
    """An answer as it counts for the trait: min + max - value for a reversed item."""
    scale = questionnaire.response_scale
    return value if item.keyed > 0 else scale.min + scale.max - value


def _centre(probabilities: Sequence[float]) -> float:
    """Mean step, counted from 0."""
    return math.fsum(step * probability for step, probability in enumerate(probabilities))


def _mass(name: str, logprobs: Sequence[Sequence[float]]) -> Metric:
    masses = [math.fsum(map(math.exp, options)) for options in logprobs]
    return Metric(name, mean(masses), len(masses), role="validity")


def _order_correlation(answers: Sequence[ItemAnswers]) -> Metric:
    """At temperature 1, whatever the sampling: it is about the model, not about the draw."""
    forward, backward = (
        [_centre(option_probabilities(answer.orders[order], 1.0)) for answer in answers] for order in (0, 1)
    )
    return Metric("order_correlation", correlation(forward, backward), len(answers), role="validity")


def _yes_bias(answers: Sequence[ItemAnswers]) -> Metric:
    agreement = [(answer.item.keyed, option_probabilities(answer.yes_no, 1.0)[0]) for answer in answers]
    both = _both_keys(agreement)
    return Metric("yes_bias", None if both is None else sum(both) / 2 - 0.5, len(answers), role="validity")


def _keyed_log_odds(answers: Sequence[ItemAnswers], trait: Trait) -> Metric:
    odds = [
        (answer.item.keyed, answer.yes_no[0] - answer.yes_no[1]) for answer in answers if answer.item.trait == trait
    ]
    both = _both_keys(odds)
    return Metric(f"{trait}.yes_no", None if both is None else (both[0] - both[1]) / 2, len(odds), role="validity")


def _both_keys(values: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Means over + items and over - items, so that uneven keying cannot pass for a trait; None if either is empty."""
    plus = mean([value for keyed, value in values if keyed > 0])
    minus = mean([value for keyed, value in values if keyed < 0])
    return None if plus is None or minus is None else (plus, minus)
