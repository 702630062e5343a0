"""What a subject is measured with: reply contrast, questionnaires, reasoning tasks of lm-eval.

`ResolvedBenchmark` is what a job carries: names of files are replaced by digests of their content.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .refs import DataRef, Digest
from .spec import Spec
from .traits import Trait


class ResolvedReplyContrast(Spec):
    """Log-likelihood gap per token between high and low held-out replies to the same prompt, for each trait."""

    kind: Literal["reply_contrast"] = "reply_contrast"
    data: DataRef
    traits: tuple[Trait, ...] = Field(description="Traits whose held-out replies are scored.")


class ResolvedQuestionnaire(Spec):
    """Items answered on a scale, scored per domain, with validity checks."""

    kind: Literal["questionnaire"] = "questionnaire"
    items: Digest
    mode: Literal["choice", "generate"] = Field(
        "choice", description="choice: likelihood of the option letters, both orders. generate: a written number."
    )


class ResolvedLmEval(Spec):
    """One task of lm-evaluation-harness."""

    kind: Literal["lm_eval"] = "lm_eval"
    task: str = Field(description="Name of the task.")
    definition: Digest | None = Field(None, description="Digest of a local task folder; absent: built in.")
    shots: int | None = Field(None, ge=0, description="Worked examples in the prompt; absent: the task's own number.")
    limit: int | None = Field(None, ge=1, description="Only the first n documents.")


ResolvedBenchmark = Annotated[
    ResolvedReplyContrast | ResolvedQuestionnaire | ResolvedLmEval, Field(discriminator="kind")
]
