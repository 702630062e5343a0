"""How much a score changes from one subject to another, and how sure that is: the same items under both."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traitgraph.runtime.assessment.questionnaires.item_scores import ItemAnswers, ItemScores

from .statistics import Estimate, combined, keyed_contrast
from .summaries import Score

Terms = Sequence[tuple[float, Score]]
"""Weights of scores that are added up: 1 and -1 for a difference, those of a regression for a slope."""


def change_of(metric: str, terms: Terms, items: ItemScores | None) -> Estimate:
    """The weighted sum of scores under one metric, item by item where all of them have answers to the same items.

    Otherwise, and where the metric is no mean over items, the scores count as independent. Seeds add their own error.
    """
    found = _by_item(metric, terms, items) if items else None
    if found is None:
        value = math.fsum(weight * score.value for weight, score in terms)
        return combined(
            value, [(score.stderr and abs(weight) * score.stderr, score.freedom) for weight, score in terms]
        )
    seeds = [(abs(weight) * score.over_seeds[0], score.over_seeds[1]) for weight, score in terms if score.over_seeds]
    return combined(found.value, [found[1:], *seeds])


def slope_of(metric: str, points: Sequence[tuple[float, float, Score]], items: ItemScores | None) -> Estimate | None:
    """The slope of a score over its strength; `points` are (sign, strength, score), each sign a line of its own.

    Their slopes are added with their signs: that of a gap is the slope of high minus that of low.
    None below three strengths.
    """
    terms: list[tuple[float, Score]] = []
    for sign in dict.fromkeys(sign for sign, _, _ in points):
        line = [(strength, score) for each, strength, score in points if each == sign]
        centre = math.fsum(strength for strength, _ in line) / len(line)
        squares = math.fsum((strength - centre) ** 2 for strength, _ in line)
        if len(line) < 3 or not squares:
            return None
        terms += [(sign * (strength - centre) / squares, score) for strength, score in line]
    return change_of(metric, terms, items)


def _by_item(metric: str, terms: Terms, items: ItemScores) -> Estimate | None:
    """The sum over items that all scores have; None for other items, or where the metric is no mean over them."""
    forms = [[items.of(job) for job in score.jobs] for _, score in terms]
    known = [form.get(metric, {}) for jobs in forms for form in jobs]
    if not all(known) or any(each.keys() != known[0].keys() for each in known):
        return None
    shifts: dict[tuple[str, int], list[float]] = {}
    sizes: list[int] = []
    for trait, answers in forms[0][0].items():
        for item, answer in answers.items():
            total = _total(trait, item, terms, forms) if answer.keyed or trait == metric else None
            if total is not None:  # a reversed item is turned back, so that agreement has one sign
                shifts.setdefault((trait, answer.keyed), []).append((answer.keyed or 1) * total)
                sizes += [len(answer.values)] * (not answer.keyed)
    plain = shifts.get((metric, 0))
    if plain is None:
        # Without items keyed the other way a shift of every answer cannot be told from one of the trait.
        return keyed_contrast(shifts, metric) or Estimate(math.fsum(weight * score.value for weight, score in terms))
    asked_once = all(score.by_repeat is None for _, score in terms)
    found = Estimate.over(plain, sizes if asked_once else ())  # a document that tasks share has a value of each
    value = math.fsum(weight * score.value for weight, score in terms)
    return None if asked_once and not math.isclose(found.value, value, abs_tol=1e-6) else found


def _total(metric: str, item: str, terms: Terms, forms: Sequence[Sequence[ItemAnswers]]) -> float | None:
    """The weighted sum of the values of an item, each the mean over seeds; None if some subject did not answer it."""
    total = 0.0
    for (weight, _), jobs in zip(terms, forms, strict=True):
        answers = [form.get(metric, {}).get(item) for form in jobs]
        values = [answer.value for answer in answers if answer is not None and answer.value is not None]
        if not values:
            return None
        total += weight * math.fsum(values) / len(values)
    return total
