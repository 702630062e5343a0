"""What the forms of a questionnaire change: scores of each form, and how many choices turn with an axis.

score     <trait>.expected          with `form`: of one form by the likelihood of options
          <trait>                   with `form`: of one form by written numbers, over all repeats
validity  option_mass               with `form`; of written numbers `parse_failures`
          <trait>.<axis>_sensitivity  share of the trait's items whose choice is not the same for all values of an axis,
                                    everything else alike, averaged over everything else: TRAIT's prompt sensitivity
                                    (`wording`) and option-order sensitivity (arXiv:2406.14703)
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from traitgraph.runtime.assessment.measurement import Metric, mean
from traitgraph.specs.study.forms import form_name

from .items import Item, Questionnaire
from .scores import Counted, ItemAnswers, answer_distribution, means_of

Setting = Mapping[str, str]
"""Axis -> value."""
SENSITIVITY = "_sensitivity"
"""End of the names of sensitivities, after trait and axis."""
Choices = Sequence[tuple[Setting, Mapping[int, int | None]]]
"""Of each form the choice of every item, by its number: None where there is none."""


def choice_form_metrics(
    questionnaire: Questionnaire,
    answers: Sequence[ItemAnswers],
    forms: Sequence[tuple[Setting, slice]],
    temperature: float,
) -> Iterator[Metric]:
    """Of likelihoods; `forms`: each setting, and which of what was heard of an item was heard in it."""
    points, choices = {each.item.id: questionnaire.points(each.item) for each in answers}, []
    for setting, heard in forms:
        name, there = form_name(setting), [each._replace(orders=each.orders[heard]) for each in answers]
        counted: list[Counted] = []
        chosen: dict[int, int | None] = {}
        for each in there:
            shares, likely = answer_distribution(each, temperature), answer_distribution(each, 1.0)
            found = {trait: math.fsum(map(operator.mul, shares, own)) for trait, own in points[each.item.id].items()}
            counted.append((each.item, None, found))
            chosen[each.item.id] = max(range(len(likely)), key=likely.__getitem__)
        choices.append((setting, chosen))
        for metric in _of_traits(questionnaire, counted):
            yield metric._replace(metric=f"{metric.metric}.expected", form=name)
        masses = [math.fsum(map(math.exp, order)) for each in there for order in each.orders]
        yield Metric("option_mass", mean(masses), len(masses), role="validity", form=name)
    yield from sensitivities(questionnaire, choices)


def number_form_metrics(
    questionnaire: Questionnaire, answers: Sequence[tuple[Setting, Item, int, int | None]]
) -> Iterator[Metric]:
    """Of written numbers: setting, item, repeat and answer. The choice of an item is its most frequent answer."""
    forms: dict[str, list[tuple[Setting, Item, int, int | None]]] = {}
    for each in answers:
        forms.setdefault(form_name(each[0]), []).append(each)
    choices = []
    for name, own in forms.items():
        counted = [
            (item, None, None if answer is None else questionnaire.counts(item, answer)) for _, item, _, answer in own
        ]
        for metric in _of_traits(questionnaire, counted):
            yield metric._replace(form=name)
        yield Metric.share("parse_failures", (answer is None for *_, answer in own))._replace(form=name)
        given: dict[int, list[int]] = {item.id: [] for _, item, _, _ in own}
        for _, item, _, answer in own:
            given[item.id] += [] if answer is None else [answer]
        usual = {item: Counter(each).most_common(1)[0][0] if each else None for item, each in given.items()}
        choices.append((own[0][0], usual))
    yield from sensitivities(questionnaire, choices)


def _of_traits(questionnaire: Questionnaire, counted: Iterable[Counted]) -> Iterator[Metric]:
    traits = questionnaire.traits()
    return (metric for metric in means_of(questionnaire, counted) if metric.metric in traits)


def sensitivities(questionnaire: Questionnaire, choices: Choices) -> Iterator[Metric]:
    """Of each axis with several values; an item without a choice in some form is left out of what it is part of."""
    for axis in choices[0][0]:
        if len({setting[axis] for setting, _ in choices}) < 2:
            continue
        alike: dict[tuple[str, ...], list[Mapping[int, int | None]]] = {}
        for setting, chosen in choices:
            others = tuple(value for name, value in setting.items() if name != axis)
            alike.setdefault(others, []).append(chosen)
        for trait in questionnaire.traits():
            items = [item.id for item in questionnaire.items if item.weight and trait in item.traits]
            found = [{chosen[item] for chosen in group} for group in alike.values() for item in items]
            turned = [len(each) > 1 for each in found if None not in each]
            yield Metric.share(f"{trait}.{axis}{SENSITIVITY}", turned)._replace(n=len(items))
