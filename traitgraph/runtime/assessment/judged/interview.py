"""Mode `interview` of a questionnaire: an open question for each item, and a judge who rates the answer.

The judge rates agreement with the item, not the trait, so reversed items are turned round as in every other mode (the
option conversion of InCharacter, arXiv:2310.17976). What it cannot rate is counted and never given a middle value.
"""

from __future__ import annotations

from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.assessment.questionnaires.items import Item, Questionnaire
from traitgraph.runtime.assessment.questionnaires.modes import items_of
from traitgraph.runtime.assessment.questionnaires.rated_numbers import REFUSAL, is_refusal, rated_number
from traitgraph.runtime.assessment.questionnaires.scores import domain_means
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.jobs.params import AssessParams

from .judges import judged_answers, outcome_metrics


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a rating (`n`); `refusals` and `parse_failures` are shares."""
    questionnaire = items_of(context, benchmark)
    items, scale = questionnaire.items, questionnaire.response_scale.ends
    judged = judged_answers(
        context, loaded, params, benchmark.judge, [question_of(questionnaire, item) for item in items],
        lambda number, answer: judge_prompt(questionnaire, items[number], answer),
    )  # fmt: skip
    ratings = [None if each.reply is None else rated_number(each.reply, scale) for each in judged]
    rated = [(items[each.number], each, rating) for each, rating in zip(judged, ratings, strict=True)]
    rows: list[dict[str, object]] = [
        {
            "item": item.id,
            "repeat": each.repeat,
            "trait": item.trait,
            "keyed": item.keyed,
            "scale": scale,
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


def judge_prompt(questionnaire: Questionnaire, item: Item, answer: str) -> str:
    """What the judge reads: the item, the scale with its anchors, the question and the answer."""
    scale, steps = questionnaire.response_scale, questionnaire.response_scale.steps("\n")
    return (
        "You rate an answer from an interview about personality. Decide how accurately the statement describes the "
        f"person who answered, judging by the answer alone.\n\nScale:\n{steps}\n\n"
        f"Statement: {questionnaire.statement(item)}\nQuestion: {question_of(questionnaire, item)}\n"
        f"Answer: <<<\n{answer}\n>>>\n\n"
        f"Write one number from {scale.min} to {scale.max} and nothing else. "
        f"Write {REFUSAL} if the person refuses to answer or the answer says nothing about the statement."
    )
