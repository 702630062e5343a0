"""Free answers and who rates them: a judge is opened by its kind, and asked prompt by prompt.

A judge reads prompts and gives back raw texts, each kept the moment it is there; it knows nothing of scales or traits.
Interviews and open questions share how the subject is asked, and how its answers come to the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from traitgraph.runtime.assessment.measurement import Metric, disclaimers
from traitgraph.runtime.data.conversations import Message, Said, messages_of, said_by
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.resumable_generation import KeptTexts, write_missing
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedJudge
from traitgraph.specs.study.judges import JUDGES
from traitgraph.specs.study.training import Sampling

REPLY_TOKENS = 64
"""Longest reply of a local judge, which is asked for a rating alone. [tokens]"""


class JudgeError(RuntimeError):
    """A judge that cannot be asked; the message says where, why and how to repair it. It never holds the key."""


class Judge(Protocol):
    """Replies to prompts."""

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Put a reply to every prompt that has none into `kept`, under the prompt's name."""
        ...


def open_judge(context: JobContext, judge: ResolvedJudge) -> Judge:
    """The judge, ready to be asked. Raises JudgeError when it cannot be."""
    opened: Judge = imported(JUDGES.get(judge.kind).function)(context, judge)
    return opened


def open_local_judge(context: JobContext, judge: ResolvedJudge) -> ModelJudge:
    """A judge that runs here. It may share the subject's base, which is brought back for it."""
    loaded = open_model(context, judge.model, "judge_model")
    leave_subject(context, loaded)  # a judge is never under the influence of what it judges
    return ModelJudge(loaded, judge.temperature)


class ModelJudge:
    """A judging model that runs here; equal prompts get equal replies, whatever was asked before."""

    def __init__(self, loaded: LoadedModel, temperature: float) -> None:
        self._loaded = loaded
        self._temperature = temperature

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Write the replies that are missing, batch by batch."""
        ids = {name: prompt_ids(self._loaded.tokenizer, prompt) for name, prompt in prompts.items()}
        write_missing(
            context, self._loaded, ids, kept, "ratings",
            temperature=self._temperature, max_new_tokens=REPLY_TOKENS, stream="judge",
        )  # fmt: skip


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
    questions: Sequence[Said],
    prompt_of: Callable[[int, str], str],
    follow_ups: Sequence[str] = (),
) -> list[Judged]:
    """Every question answered and judged once a repeat; `prompt_of(number, answer)` is what the judge reads.

    Every question is a conversation of its own, which goes on with `follow_ups`: then an answer is all that was said
    after the question. All answers are written before the judge is asked, so that one base can be both. Raises
    JudgeError, and Stopped when the time is nearly up: what was said by then is kept.
    """
    sampling, prompt_message = params.sampling or Sampling(), prompt_message_of(context, params.prompt)
    kept = KeptTexts(context.partial, "free_answers")
    asked = {
        f"{repeat}/{number}": (number, repeat) for repeat in range(sampling.repeats) for number in range(len(questions))
    }
    said = {name: messages_of(questions[number]) for name, (number, _) in asked.items()}
    for repeat in range(sampling.repeats):
        for turns, next_question in enumerate([*follow_ups, None]):
            after = f"/{turns}" if turns else ""
            names = [name for name, (_, of) in asked.items() if of == repeat]
            named = {name + after: prompt_ids(loaded.tokenizer, said_by(said[name]), prompt_message) for name in names}
            write_missing(
                context, loaded, named, kept, f"answers, repeat {repeat + 1} of {sampling.repeats}",
                temperature=sampling.temperature, max_new_tokens=sampling.max_new_tokens,
                stream=f"{sampling.seed}/{repeat}{after}", write=engine_of(sampling).write,
            )  # fmt: skip
            for name in names:
                said[name].append(Message(role="assistant", content=kept.texts[name + after]))
                if next_question is not None:
                    said[name].append(Message(role="user", content=next_question))
    answers = {name: _told(each[-1 - 2 * len(follow_ups) :]) for name, each in said.items()}
    replies = KeptTexts(context.partial, "judge_replies")
    to_rate = {name: prompt_of(number, answers[name]) for name, (number, _) in asked.items() if answers[name].strip()}
    open_judge(context, judge).reply(context, to_rate, replies)
    return [
        Judged(number, repeat, str(questions[number]), answers[name], replies.texts.get(name))
        for name, (number, repeat) in asked.items()
    ]


def _told(messages: Sequence[Message]) -> str:
    """What was said after the question: the answer; with follow-ups each of them in brackets before its answer."""
    if not any(each["content"].strip() for each in messages if each["role"] == "assistant"):
        return ""
    texts = (f"[{each['content']}]" if each["role"] == "user" else each["content"] for each in messages)
    return "\n\n".join(texts)


def outcome_metrics(outcomes: Sequence[str], judged: Iterable[Judged]) -> list[Metric]:
    """Shares of the answers without a rating, nothing to rate or an unreadable reply, and of those that disclaim."""
    return [
        disclaimers(each.answer for each in judged),
        Metric.share("refusals", (each == "refused" for each in outcomes)),
        Metric.share("parse_failures", (each == "unreadable" for each in outcomes)),
    ]
