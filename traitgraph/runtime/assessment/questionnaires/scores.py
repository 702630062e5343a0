"""From option likelihoods to domain scores and validity checks: arithmetic only, no model.

Within an order the options' likelihoods are normalised at the sampling temperature; the two orders are averaged. Each
repeat draws one answer per item from that distribution. Draws depend on (seed, repeat, item) alone: subjects that agree
give the same answers, so their differences are not sampling noise. A reversed item counts min + max - x.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Metric, correlation, mean
from traitgraph.specs.study.training import Sampling
from traitgraph.specs.study.vocabulary import Trait

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
    low, traits = questionnaire.response_scale.min, questionnaire.traits()
    in_order = sorted(answers, key=lambda each: traits.index(each.item.trait))
    drawn = (
        (each.item, repeat, low + sampled_step(each, sampling, repeat))
        for each in in_order
        for repeat in range(sampling.repeats)
    )
    expected = ((each.item, None, low + _centre(answer_distribution(each, sampling.temperature))) for each in in_order)
    # At temperature 1, whatever the sampling: what follows is about the model, not about the draw.
    centres = ([_centre(option_probabilities(each.orders[at], 1.0)) for each in answers] for at in (0, 1))
    agreement = [(each.item.keyed, option_probabilities(each.yes_no, 1.0)[0]) for each in answers]
    both = _both_keys(agreement)
    return [
        *domain_means(questionnaire, drawn),
        *(each._replace(metric=f"{each.metric}.expected") for each in domain_means(questionnaire, expected)),
        _mass("option_mass", [order for answer in answers for order in answer.orders]),
        Metric("order_correlation", correlation(*centres), len(answers), role="validity"),
        _mass("yes_no_mass", [answer.yes_no for answer in answers]),
        Metric("yes_bias", None if both is None else sum(both) / 2 - 0.5, len(answers), role="validity"),
        *(_keyed_log_odds(answers, trait) for trait in traits),
    ]


def domain_means(
    questionnaire: Questionnaire, answers: Iterable[tuple[Item, int | None, float | None]]
) -> list[Metric]:
    """Means of each trait and repeat over the items with a usable answer (`n`), from item, repeat and answer."""
    low, high = questionnaire.response_scale.ends
    found: dict[tuple[str, int | None], list[float]] = {}
    for item, repeat, answer in answers:
        values = found.setdefault((item.trait, repeat), [])
        if answer is not None:
            values.append(keyed_value(answer, item.keyed, low, high))
    return [Metric(trait, mean(values), len(values), repeat=repeat) for (trait, repeat), values in found.items()]


def keyed_value(value: float, keyed: int, low: float, high: float) -> float:
    """An answer as it counts for the trait: low + high - value for a reversed item, on a scale from low to high."""
    return low + high - value if keyed < 0 else value


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
    name = f"answer/{sampling.seed}/{repeat}/{answer.item.id}"
    draw = (int.from_bytes(blake2b(name.encode(), digest_size=7).digest()) >> 3) / 2**53  # in [0, 1)
    probabilities = answer_distribution(answer, sampling.temperature)
    for step, reached in enumerate(accumulate(probabilities)):
        if draw < reached:
            return step
    return max(step for step, probability in enumerate(probabilities) if probability > 0)  # rounding left a gap at 1


def _centre(probabilities: Sequence[float]) -> float:
    """Mean step, counted from 0."""
    return math.fsum(step * probability for step, probability in enumerate(probabilities))


def _mass(name: str, logprobs: Sequence[Sequence[float]]) -> Metric:
    masses = [math.fsum(map(math.exp, options)) for options in logprobs]
    return Metric(name, mean(masses), len(masses), role="validity")


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
