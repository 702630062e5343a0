"""What the model reads of an item, in each form that a questionnaire may be asked in. Must not know a model.

The texts are ours. In a named wording the statement stands last, so that all items share everything before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from traitgraph.specs.study.forms import Forms

from .items import Item, Questionnaire

YES_NO = "Does this statement describe you? Answer with Yes or No.\nStatement: "

_ONES = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
SETS: Mapping[str, Sequence[str]] = {
    "letters": ascii_uppercase,
    "lowercase": ascii_lowercase,
    "digits": [str(number) for number in range(1, 27)],
    "roman": [tens + ones for tens in ("", "X", "XX") for ones in _ONES][1:],
}
"""What stands before the options of a list, from its first on."""
NOUNS = {"letters": "letter", "lowercase": "letter", "digits": "number", "roman": "numeral"}


class Wordings(NamedTuple):
    """One way to ask: of a statement by an option, of a statement by a number, of an item with options."""

    statement: str
    number: str
    options: str


def _wording(question: str, of_options: str) -> Wordings:
    return Wordings(
        f"{question}? {{answer}}\n{{options}}\nStatement: {{statement}}",
        f"{question}, on a scale from {{low}} to {{high}}? {{options}}. {{answer}}\nStatement: {{statement}}",
        f"{{statement}}\n{{options}}\n{of_options} {{answer}}",
    )


WORDINGS = {
    "accurate": _wording("How accurately does a statement describe you", "Which answer fits you best?"),
    "agree": _wording("How far do you agree with a statement about you", "Which answer do you agree with most?"),
    "fits": _wording("How well does a statement fit you", "Which answer suits you best?"),
    "resembles": _wording(
        "How much are you like somebody who says this of themselves", "Which answer would somebody like you give?"
    ),
    "typical": _wording("How typical of you is what a statement says", "Which answer is most typical of you?"),
}


class Asked(NamedTuple):
    """One item as it is put: the prompt, and what an answer is called, in the order of the file."""

    prompt: str
    answers: tuple[str, ...]


def choice(
    questionnaire: Questionnaire, item: Item, order: str, setting: Mapping[str, str], forms: Forms | None = None
) -> Asked:
    """An item with its options, to be answered by a label."""
    answers, labels = questionnaire.answers(item), setting.get("labels", "letters")
    places = listed(order, len(answers))
    marks = [answers[place] for place in places] if labels == "words" else SETS[labels][: len(places)]
    named = tuple(marks[places.index(number)] for number in range(len(answers)))
    before = "" if labels == "words" else "{}. "
    options = "\n".join(before.format(mark) + answers[place] for mark, place in zip(marks, places, strict=True))
    how = "Answer with one of these, word for word." if labels == "words" else f"Answer with one {NOUNS[labels]}."
    text = _text(questionnaire, item, setting, forms, number=False)
    return Asked(text.format(statement=questionnaire.statement(item), options=options, answer=how), named)


def number_wanted(
    questionnaire: Questionnaire, item: Item, order: str, setting: Mapping[str, str], forms: Forms | None = None
) -> tuple[str, list[int], tuple[int, int]]:
    """The prompt that asks for a number, the answer that each stands for, and the least and the largest of them."""
    text = _text(questionnaire, item, setting, forms, number=True)
    if item.options:
        places = listed(order, len(item.options))
        options = "\n".join(f"{number}. {item.options[place].text}" for number, place in enumerate(places, 1))
        how = "Write its number only."
        return text.format(statement=item.text, options=options, answer=how), [each + 1 for each in places], (
            1, len(places)
        )  # fmt: skip
    scale = questionnaire.scale_of(item)
    steps = [f"{scale.min + place} = {scale.anchors[place]}" for place in listed(order, len(scale.anchors))]
    statement, ends = item.second_person or questionnaire.statement(item), {"low": scale.min, "high": scale.max}
    asked = text.format(statement=statement, options=", ".join(steps), answer="Write the number only.", **ends)
    return asked, list(range(scale.min, scale.max + 1)), scale.ends


def _text(
    questionnaire: Questionnaire, item: Item, setting: Mapping[str, str], forms: Forms | None, *, number: bool
) -> str:
    """The question with its places: a template of the spec's, one in the file's language, or ours."""
    name = setting.get("wording", "accurate")
    own = (forms.templates.get(name) if forms else None) or questionnaire.instructions.get(name)
    ours = WORDINGS.get(name)
    if own or ours is None:
        assert own, "a wording of the spec's has a template"
        return own
    return ours.options if item.options else ours.number if number else ours.statement


def listed(order: str, count: int) -> list[int]:
    """Which of so many answers stands at each place of the list.

    >>> listed("forward", 4), listed("backward", 4), listed("swapped", 5)
    ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2, 4])
    """
    if order == "swapped":
        return [place ^ 1 if place ^ 1 < count else place for place in range(count)]
    if order.startswith("shuffled-"):
        return list(_drawn(count, int(order.removeprefix("shuffled-"))))
    return list(range(count))[:: -1 if order == "backward" else 1]


@cache
def _drawn(count: int, number: int) -> tuple[int, ...]:
    """The order of that number, from 1: another one each time and neither of the plain two, as far as there are."""
    plain = tuple(range(count))
    seen = {plain, plain[::-1]}
    others = math.factorial(count) - len(seen)
    if not others:
        return plain
    attempt, found = 0, plain
    for _ in range((number - 1) % others + 1):
        while found in seen:
            attempt += 1
            found = tuple(sorted(plain, key=lambda place: blake2b(f"order/{attempt}/{place}".encode()).digest()))
        seen.add(found)
    return found
