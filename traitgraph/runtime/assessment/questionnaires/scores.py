"""From option likelihoods to domain scores and validity checks: arithmetic only, no model.

Within an order the options' likelihoods are normalised at the sampling temperature; the two orders are averaged. Each
repeat draws one answer per item from that distribution. Draws depend on (seed, repeat, item) alone: subjects that agree
give the same answers, so their differences are not sampling noise. What an answer counts is said by `items.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Metric, correlation, mean
from traitgraph.specs.study.training import Sampling

from .items import Item, Questionnaire
from .items import keyed_value as keyed_value


class ItemAnswers(NamedTuple):
    """What a subject thinks of each answer to one item."""

    item: Item
    orders: tuple[tuple[float, ...], ...]
    """log p of each answer in the order of the file, with the options listed forward and the other way. [nats]"""
    yes_no: tuple[float, ...]
    """log p of yes and of no; empty for an item with options of its own. [nats]"""


Counted = tuple[Item, int | None, Mapping[str, float] | None]
"""An item, a repeat, and what the answer counts for each of its traits; None without a usable answer."""


def questionnaire_metrics(
    questionnaire: Questionnaire,
    answers: Sequence[ItemAnswers],
    sampling: Sampling,
    orders: Sequence[str] = ("forward", "backward"),
) -> list[Metric]:
    """All metrics of one administration; `orders` names how options were listed each time that an item was put.

    score     <trait>            domain mean of the drawn answers, one a repeat
              <trait>.expected   what the mean of infinitely many repeats would be
              <trait>.likeliest  of items whose options stand for levels: the mean of the likeliest answers at
                                 temperature 1, which is the share of high answers that TRAIT reports
              facet:<facet>      and facet:<facet>.expected: the same of the items of a facet
    validity  option_mass        probability that the answer is one of the options at all
              order_correlation  r over items between the expected answers of the two orders; negative: letters, not
                                 content, were chosen
              yes_no_mass        probability of yes or no
              yes_bias           mean P(yes) of + and of - items, averaged, minus 0.5: agreement whatever the statement
              <trait>.yes_no     log-odds of yes, (+ items) minus (- items), halved; undefined without both kinds
    """
    points = {each.item.id: questionnaire.points(each.item) for each in answers}

    def expected(each: ItemAnswers, probabilities: Sequence[float]) -> dict[str, float]:
        found = points[each.item.id]
        return {trait: math.fsum(map(operator.mul, probabilities, counts)) for trait, counts in found.items()}

    def chosen(each: ItemAnswers, step: int) -> dict[str, float]:
        return {trait: counts[step] for trait, counts in points[each.item.id].items()}

    def centre(each: ItemAnswers, order: str) -> float:
        there = tuple(heard for heard, name in zip(each.orders, orders, strict=True) if name == order)
        probabilities = answer_distribution(each._replace(orders=there), 1.0)  # about the model, not about the draw
        return next(iter(expected(each, probabilities).values())) if each.item.options else _centre(probabilities)

    drawn = (
        (each.item, repeat, chosen(each, sampled_step(each, sampling, repeat)))
        for each in answers
        for repeat in range(sampling.repeats)
    )
    means = [(each.item, None, expected(each, answer_distribution(each, sampling.temperature))) for each in answers]
    likeliest = [
        (each.item, None, chosen(each, max(range(len(shares)), key=shares.__getitem__)))
        for each in answers
        if each.item.options and each.item.options[0].level
        for shares in [answer_distribution(each, 1.0)]
    ]
    first, *others = dict.fromkeys(orders)
    order_correlation = [
        Metric(
            "order_correlation",
            correlation([centre(each, first) for each in answers], [centre(each, other) for each in answers]),
            len(answers),
            role="validity",
        )
        for other in others[:1]
    ]
    return [
        *means_of(questionnaire, drawn),
        *(each._replace(metric=f"{each.metric}.expected") for each in means_of(questionnaire, means)),
        *(each._replace(metric=f"{each.metric}.likeliest") for each in means_of(questionnaire, likeliest)),
        _mass("option_mass", [order for answer in answers for order in answer.orders]),
        *order_correlation,
        *_yes_no_metrics([answer for answer in answers if answer.yes_no], questionnaire.traits()),
    ]


def domain_means(
    questionnaire: Questionnaire, answers: Iterable[tuple[Item, int | None, float | None]]
) -> list[Metric]:
    """Means of each trait, facet and repeat over the items with a usable answer (`n`), from item, repeat and answer.

    An answer is a number of the item's scale; of an item with options the place of one, counted from 1.
    """
    return means_of(
        questionnaire,
        (
            (item, repeat, None if answer is None else questionnaire.counts(item, answer))
            for item, repeat, answer in answers
        ),
    )


def means_of(questionnaire: Questionnaire, answers: Iterable[Counted]) -> list[Metric]:
    """Weighted means of each trait and repeat, in the order of the questionnaire, then those of each facet."""
    found: dict[tuple[str, int | None], list[tuple[float, float]]] = {}
    for item, repeat, counts in answers:
        if not item.weight:
            continue
        for trait in item.traits:
            for name in filter(None, (trait, item.facet_metric if trait == item.trait else None)):
                values = found.setdefault((name, repeat), [])
                if counts is not None:
                    values.append((item.weight, counts[trait]))
    places = {trait: place for place, trait in enumerate(questionnaire.traits())}
    in_order = sorted(found.items(), key=lambda each: places.get(each[0][0], len(places)))
    return [Metric(name, _weighted(values), len(values), repeat=repeat) for (name, repeat), values in in_order]


def _weighted(values: Sequence[tuple[float, float]]) -> float | None:
    """The mean of (weight, value); None of nothing."""
    total = math.fsum(weight for weight, _ in values)
    return math.fsum(weight * value for weight, value in values) / total if values else None


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
    """Probability of each answer, in the order of the file: all orders averaged."""
    orders = [option_probabilities(order, temperature) for order in answer.orders]
    return [sum(shares) / len(orders) for shares in zip(*orders, strict=True)]


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


def _yes_no_metrics(answers: Sequence[ItemAnswers], traits: Iterable[str]) -> Iterator[Metric]:
    """Checks of the yes/no form; none where every item has options of its own."""
    if not answers:
        return
    agreement = [(each.item.keyed or 1, option_probabilities(each.yes_no, 1.0)[0]) for each in answers]
    both = _both_keys(agreement)
    yield _mass("yes_no_mass", [answer.yes_no for answer in answers])
    yield Metric("yes_bias", None if both is None else sum(both) / 2 - 0.5, len(answers), role="validity")
    yield from (_keyed_log_odds(answers, trait) for trait in traits)


def _keyed_log_odds(answers: Sequence[ItemAnswers], trait: str) -> Metric:
    odds = [
        (answer.item.keyed or 1, answer.yes_no[0] - answer.yes_no[1])
        for answer in answers
        if answer.item.trait == trait
    ]
    both = _both_keys(odds)
    return Metric(f"{trait}.yes_no", None if both is None else (both[0] - both[1]) / 2, len(odds), role="validity")


def _both_keys(values: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Means over + items and over - items, so that uneven keying cannot pass for a trait; None if either is empty."""
    plus = mean([value for keyed, value in values if keyed > 0])
    minus = mean([value for keyed, value in values if keyed < 0])
    return None if plus is None or minus is None else (plus, minus)
