"""Who rates free answers: opened by its kind, and asked prompt by prompt.

A judge reads prompts and gives back raw texts, each kept the moment it is there; it knows nothing of scales or traits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.resumable_generation import KeptTexts, write_missing
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.benchmarks import ResolvedJudge
from traitgraph.specs.study.judges import JUDGES

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
