"""Free answers to questions about a trait; a judge rates how much of the trait they show, and their fluency.

Both from 1 to 5, as the evaluation of NPTI does (arXiv:2410.12327); the judge's prompt is ours.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Measurement, Metric
from traitgraph.runtime.assessment.questionnaires.rated_numbers import REFUSAL, is_refusal, rated_number, said
from traitgraph.runtime.data.dialogues import Question, load_questions
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.jobs.params import AssessParams

from .judges import Judged, judged_answers, outcome_metrics

SCALE = (1, 5)
_LINE = r"^[\W_]*{name}(?:\W*(?:rating|score))?(?:\s*\([^()\n]*\))?[\s*_\"'`]*[:=](.*)$"


class Rating(NamedTuple):
    """What the judge said of one answer; None for what it did not say."""

    trait: int | None
    fluency: int | None
    outcome: str
    """rated, refused or unreadable; the last two have no ratings."""


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Mean rating of each trait and of the fluency of its answers, with standard errors over questions, each repeat.

    Raises DialogueError when there is no question.
    """
    questions = load_questions(context, benchmark.questions)
    if not questions:
        raise DialogueError("the open questions have no rows")

    def prompt_of(number: int, answer: str) -> str:
        return judge_prompt(questions[number], answer)

    prompts = [question.prompt for question in questions]
    judged = judged_answers(context, loaded, params, benchmark.judge, prompts, prompt_of)
    ratings = [parsed_ratings(each.reply) for each in judged]
    rows = [_row(questions[each.number], each, rating) for each, rating in zip(judged, ratings, strict=True)]
    return Measurement(
        rows, [*_scores(questions, judged, ratings), *outcome_metrics([each.outcome for each in ratings], judged)]
    )


def judge_prompt(question: Question, answer: str) -> str:
    """What the judge reads: the trait, the question, the answer and the form of its reply."""
    return (
        f"You rate an answer. Judge two things separately, each from 1 to 5.\ntrait: how much {question.trait} (of the "
        "Big Five) the person who answered shows; 1 = very low, 3 = neither low nor high, 5 = very high.\nfluency: how "
        "well the answer reads as language, whatever it says; 1 = broken, 5 = faultless.\n\n"
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


def _row(question: Question, judged: Judged, rating: Rating) -> dict[str, object]:
    return {
        "question_id": question.id,
        "repeat": judged.repeat,
        "trait": question.trait,
        "scale": SCALE,
        "question": judged.question,
        "text": judged.answer,
        "judge": judged.reply,
        "rating": rating.trait,
        "fluency": rating.fluency,
        "outcome": rating.outcome,
    }


def _scores(questions: list[Question], judged: list[Judged], ratings: list[Rating]) -> list[Metric]:
    found: dict[tuple[str, int], list[Rating]] = {}
    for each, rating in zip(judged, ratings, strict=True):
        found.setdefault((questions[each.number].trait, each.repeat), []).append(rating)
    metrics = []
    for (trait, repeat), given in found.items():
        shown = [each.trait for each in given if each.trait is not None]
        fluent = [each.fluency for each in given if each.fluency is not None]
        metrics += [
            Metric.over(trait, shown, repeat),
            Metric.over(f"{trait}.fluency", fluent, repeat, "validity"),
        ]
    return metrics
