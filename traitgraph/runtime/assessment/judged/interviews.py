"""Open questions that a subject answers freely and a judge rates: on each item of a questionnaire, or about a trait.

Mode `interview` of a questionnaire: the judge rates agreement with the item, not the trait, so reversed items are
turned round as in every other mode (the option conversion of InCharacter, arXiv:2310.17976). What it cannot rate is
counted and never given a middle value.
Questions about a trait: the judge rates how much of the trait the answers show, and their fluency, both from 1 to 5, as
the evaluation of NPTI does (arXiv:2410.12327); the judge's prompt is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Measurement, Metric
from traitgraph.runtime.assessment.questionnaires.items import Item, Questionnaire
from traitgraph.runtime.assessment.questionnaires.modes import about_item, items_of
from traitgraph.runtime.assessment.questionnaires.rated_numbers import REFUSAL, is_refusal, rated_number, said
from traitgraph.runtime.assessment.questionnaires.scores import domain_means
from traitgraph.runtime.data.dialogues import Question, read_questions
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.vocabulary import BIG_FIVE, Trait

from .judges import Judged, judged_answers, outcome_metrics

SCALE = (1, 5)
_LINE = r"^[\W_]*{name}(?:\W*(?:rating|score))?(?:\s*\([^()\n]*\))?[\s*_\"'`]*[:=](.*)$"


class Rating(NamedTuple):
    """What the judge said of one answer; None for what it did not say."""

    trait: int | None
    fluency: int | None
    outcome: str
    """rated, refused or unreadable; the last two have no ratings."""


def measure_items(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a rating (`n`); `refusals` and `parse_failures` are shares."""
    questionnaire = items_of(context, benchmark)
    items = questionnaire.items
    judged = judged_answers(
        context, loaded, params, benchmark.judge, [question_of(questionnaire, item) for item in items],
        lambda number, answer: item_prompt(questionnaire, items[number], answer), benchmark.follow_ups or (),
    )  # fmt: skip
    scales = [questionnaire.scale_of(item).ends for item in items]
    ratings = [None if each.reply is None else rated_number(each.reply, scales[each.number]) for each in judged]
    rated = [(items[each.number], each, rating) for each, rating in zip(judged, ratings, strict=True)]
    rows: list[dict[str, object]] = [
        {
            "item": item.id,
            "repeat": each.repeat,
            **about_item(questionnaire, item, rating),
            "question": each.question,
            "text": each.answer,
            "judge": each.reply,
            "rating": rating,
            "outcome": "refused" if is_refusal(each.reply) else "unreadable" if rating is None else "rated",
        }
        for item, each, rating in rated
    ]
    means = domain_means(questionnaire, ((item, each.repeat, rating) for item, each, rating in rated))
    return Measurement(rows, [*means, *outcome_metrics([str(row["outcome"]) for row in rows], judged)])


def question_of(questionnaire: Questionnaire, item: Item) -> str:
    """What the subject is asked about an item: the item's own question, or our frame around its statement."""
    if item.question:
        return item.question
    statement = item.second_person or questionnaire.statement(item)
    return (
        f'How far is this statement true of you, and how does it show? "{statement}" '
        "Answer in your own words, in two to four sentences."
    )


def item_prompt(questionnaire: Questionnaire, item: Item, answer: str) -> str:
    """What the judge reads: the item, the scale with its anchors, the question and the answer."""
    scale = questionnaire.scale_of(item)
    steps = scale.steps("\n")
    return (
        "You rate an answer from an interview about personality. Decide how accurately the statement describes the "
        f"person who answered, judging by the answer alone.\n\nScale:\n{steps}\n\n"
        f"Statement: {questionnaire.statement(item)}\nQuestion: {question_of(questionnaire, item)}\n"
        f"Answer: <<<\n{answer}\n>>>\n\n"
        f"Write one number from {scale.min} to {scale.max} and nothing else. "
        f"Write {REFUSAL} if the person refuses to answer or the answer says nothing about the statement."
    )


def measure_traits(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Mean rating of each trait and of the fluency of its answers, with standard errors over questions, each repeat.

    Raises DialogueError when there is no question, or one about a trait of which nothing is said.
    """
    questions = read_questions.load(context, benchmark.questions)
    meanings = meanings_of(questions, benchmark.meanings)
    judged = judged_answers(
        context, loaded, params, benchmark.judge, [question.prompt for question in questions],
        lambda number, answer: trait_prompt(questions[number], meanings[questions[number].trait], answer),
    )  # fmt: skip
    rated = [(questions[each.number], each, parsed_ratings(each.reply)) for each in judged]
    rows: list[dict[str, object]] = [
        {
            "question_id": question.id,
            "repeat": each.repeat,
            "trait": question.trait,
            "scale": SCALE,
            "question": each.question,
            "text": each.answer,
            "judge": each.reply,
            "rating": rating.trait,
            "fluency": rating.fluency,
            "outcome": rating.outcome,
        }
        for question, each, rating in rated
    ]
    outcomes = [rating.outcome for _, _, rating in rated]
    return Measurement(rows, [*_scores(rated), *outcome_metrics(outcomes, judged)])


def meanings_of(questions: Iterable[Question], given: Mapping[Trait, str] | None) -> dict[Trait, str]:
    """What the judge is told of the trait of each question; the five are known by name, unless they are redefined.

    Raises DialogueError when there is no question, or one about a trait of which nothing is said.
    """
    known = {**dict.fromkeys(BIG_FIVE.whole_traits, "of the Big Five"), **(given or {})}
    traits = dict.fromkeys(question.trait for question in questions)
    if not traits:
        raise DialogueError("the open questions have no rows")
    if without := [trait for trait in traits if not known.get(trait)]:
        raise DialogueError(
            f"a judge cannot rate {', '.join(without)} by the name alone: give it a `description` in `vocabulary`"
        )
    return {trait: known[trait] for trait in traits}


def trait_prompt(question: Question, meaning: str, answer: str) -> str:
    """What the judge reads: the trait, the question, the answer and the form of its reply."""
    return (
        "You rate an answer. Judge two things separately, each from 1 to 5.\n"
        f"trait: how much {question.trait} ({meaning}) the person who answered shows; 1 = very low, 3 = neither low "
        "nor high, 5 = very high.\n"
        "fluency: how well the answer reads as language, whatever it says; 1 = broken, 5 = faultless.\n\n"
        f"Question: {question.prompt}\nAnswer: <<<\n{answer}\n>>>\n\n"
        "Reply with two lines and nothing else:\ntrait: NUMBER\nfluency: NUMBER\n"
        "Write x instead of a number where the answer is a refusal or shows nothing of the trait."
    )


def parsed_ratings(reply: str | None) -> Rating:
    """Both ratings, when each stands once on a line of its own; an empty answer (None) counts as a refusal.

    >>> [tuple(parsed_ratings(reply)) for reply in ("trait: 4\\nfluency: 5", "trait: x\\nfluency: 5", "4 and 5")]
    [(4, 5, 'rated'), (None, None, 'refused'), (None, None, 'unreadable')]
    """
    if reply is None:
        return Rating(None, None, "refused")
    trait, fluency = (_said(reply, name) for name in ("trait", "fluency"))
    if trait is None or fluency is None:
        return Rating(None, None, "unreadable")
    if REFUSAL in (trait, fluency):
        return Rating(None, None, "refused")
    return Rating(int(trait), int(fluency), "rated")


def _said(reply: str, name: str) -> str | None:
    """What stands behind a name on its one line: a number of the scale or x; None for anything else."""
    lines = re.findall(_LINE.format(name=name), said(reply), re.IGNORECASE | re.MULTILINE)
    if len(lines) != 1:
        return None
    if is_refusal(lines[0]):
        return REFUSAL
    number = rated_number(lines[0], SCALE)
    return None if number is None else str(number)


def _scores(rated: Iterable[tuple[Question, Judged, Rating]]) -> Iterator[Metric]:
    found: dict[tuple[str, int], list[Rating]] = {}
    for question, judged, rating in rated:
        found.setdefault((question.trait, judged.repeat), []).append(rating)
    for (trait, repeat), ratings in found.items():
        shown = [each.trait for each in ratings if each.trait is not None]
        fluent = [each.fluency for each in ratings if each.fluency is not None]
        yield Metric.over(trait, shown, repeat)
        yield Metric.over(f"{trait}.fluency", fluent, repeat, "validity")
