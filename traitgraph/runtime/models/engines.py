"""Who computes the answers of a subject: the model in this process, or the engine of a package that `sampling` names.

An engine is given the loaded model as it stands as the subject. It may run it elsewhere, but must answer as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from traitgraph.specs.study.training import ENGINES, OWN_ENGINE, AnswerEngine, Sampling

from .generation import Written, written
from .likelihood import Likelihood, Request, Tokens, continuation_likelihoods
from .loading import LoadedModel


class Engine(Protocol):
    """Writes texts and scores given ones."""

    def write(
        self,
        loaded: LoadedModel,
        prompts: Sequence[Tokens],
        *,
        temperature: float,
        max_new_tokens: int,
        stream: str,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> list[Written]:
        """A text for each prompt, in order; equal names of a `stream` give equal texts."""
        ...

    def likelihoods(
        self, loaded: LoadedModel, requests: Sequence[Request], on_batch: Callable[[int, int], None] | None = None
    ) -> list[Likelihood]:
        """How likely each continuation is, in order."""
        ...


class InProcess(AnswerEngine):
    """The model as transformers runs it here."""

    name: ClassVar[str] = OWN_ENGINE
    write = staticmethod(written)
    likelihoods = staticmethod(continuation_likelihoods)


def engine_of(sampling: Sampling) -> Engine:
    """The engine that answers are drawn with."""
    engine: Any = ENGINES.get(sampling.engine or OWN_ENGINE)()
    return engine  # type: ignore[no-any-return]  # which methods it has is only known here
