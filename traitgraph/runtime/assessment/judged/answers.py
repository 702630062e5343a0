"""Ask a subject open questions and have each answer rated by a judge: what interviews and open questions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Metric, disclaimers, mean
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.models.resumable_generation import KeptTexts, write_missing
from traitgraph.specs.jobs.benchmarks import ResolvedJudge
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.training import Sampling

from .judges import open_judge


class Judged(NamedTuple):
    """One answer and what the judge said of it."""

    number: int
    """Place of the question in its list."""
    repeat: int
    question: str
    answer: str
    reply: str | None
    """The judge's raw reply; None when it was not asked, because the answer is empty."""


def judged_answers(
    context: JobContext,
    loaded: LoadedModel,
    params: AssessParams,
    judge: ResolvedJudge,
    questions: Sequence[str],
    prompt_of: Callable[[int, str], str],
) -> list[Judged]:
    """Every question answered and judged once a repeat; `prompt_of(number, answer)` is what the judge reads.

    All answers are written before the judge is asked, so that one base can be both. Raises JudgeError, and Stopped when
    the time is nearly up: what was said by then is kept.
    """
    sampling = params.sampling or Sampling()
    asked = [(number, repeat) for repeat in range(sampling.repeats) for number in range(len(questions))]
    answers = _answers(context, loaded, params, sampling, questions)
    prompts = {
        _name(*each): prompt_of(each[0], answers[_name(*each)]) for each in asked if answers[_name(*each)].strip()
    }
    replies = KeptTexts(context.partial, "judge_replies")
    open_judge(context, judge).reply(context, prompts, replies)
    return [
        Judged(number, repeat, questions[number], answers[name], replies.texts.get(name))
        for number, repeat in asked
        for name in [_name(number, repeat)]
    ]


def _name(number: int, repeat: int) -> str:
    return f"{repeat}/{number}"


def _answers(
    context: JobContext, loaded: LoadedModel, params: AssessParams, sampling: Sampling, questions: Sequence[str]
) -> Mapping[str, str]:
    """Repeat and number of the question -> answer; every question is a conversation of its own."""
    prompt_message = prompt_message_of(context, params.prompt)
    prompts = [prompt_ids(loaded.tokenizer, question, prompt_message) for question in questions]
    kept = KeptTexts(context.partial, "free_answers")
    for repeat in range(sampling.repeats):
        named = {_name(number, repeat): prompt for number, prompt in enumerate(prompts)}
        write_missing(
            context, loaded, named, kept, f"answers, repeat {repeat + 1} of {sampling.repeats}",
            temperature=sampling.temperature, max_new_tokens=sampling.max_new_tokens,
            stream=f"{sampling.seed}/{repeat}", write=engine_of(sampling).write,
        )  # fmt: skip
    return kept.texts


def outcome_metrics(outcomes: Sequence[str], judged: Sequence[Judged]) -> list[Metric]:
    """Shares of the answers without a rating, nothing to rate or an unreadable reply, and of those that disclaim."""
    return [
        disclaimers([each.answer for each in judged]),
        *(
            Metric(name, mean([float(each == outcome) for each in outcomes]), len(outcomes), role="validity")
            for name, outcome in (("refusals", "refused"), ("parse_failures", "unreadable"))
        ),
    ]
