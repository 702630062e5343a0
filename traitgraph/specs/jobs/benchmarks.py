"""What a subject is measured with: reply contrast, questionnaires, reasoning tasks of lm-eval.

`ResolvedBenchmark` is what a job carries: names of files are replaced by digests of their content.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.study.traits import Trait

from .refs import DataRef, Digest, ModelRef

NUMBERS = "Edition of the rules by which numbers are read from texts; only identity. Absent: none are read."


LIMITS = "limits:"
"""What a location begins with that holds no place, but the limits of a judge."""


class ApiJudge(Spec):
    """A model behind an HTTP interface; where its key lies stands in the job table's locations, never here."""

    kind: Literal["api"] = "api"
    url: str
    model: str
    temperature: float

    @property
    def key_name(self) -> str:
        """Under which name the locations of a job table say where its key lies."""
        return f"key of {self.url} {self.model}"

    @property
    def limits_name(self) -> str:
        """Under which name they say how long and how much is read, where it is not the default."""
        return f"limits of {self.url} {self.model}"


class LocalJudge(Spec):
    """A judging model that runs here."""

    kind: Literal["local"] = "local"
    model: ModelRef
    temperature: float


ResolvedJudge = Annotated[ApiJudge | LocalJudge, Field(discriminator="kind")]


class ResolvedReplyContrast(Spec):
    """Log-likelihood gap per token between high and low held-out replies to the same prompt, for each trait."""

    kind: Literal["reply_contrast"] = "reply_contrast"
    data: DataRef
    traits: tuple[Trait, ...] = Field(description="Traits whose held-out replies are scored.")


class ResolvedQuestionnaire(Spec):
    """Items answered on a scale, scored per domain, with validity checks."""

    kind: Literal["questionnaire"] = "questionnaire"
    items: Digest
    mode: Literal["choice", "generate", "interview"] = Field(
        "choice",
        description="choice: likelihood of the option letters, both orders. generate: a written number. "
        "interview: free answers, rated by `judge`.",
    )
    judge: ResolvedJudge | None = None
    numbers: Literal[2] | None = Field(None, description=NUMBERS)


class ResolvedLmEval(Spec):
    """One task of lm-evaluation-harness."""

    kind: Literal["lm_eval"] = "lm_eval"
    task: str = Field(description="Name of the task.")
    definition: Digest | None = Field(None, description="Digest of a local task folder; absent: built in.")
    harness: str | None = Field(
        None, description="Release of the harness, and digest of what defines a built-in task; None: not installed."
    )
    shots: int | None = Field(None, ge=0, description="Worked examples in the prompt; absent: the task's own number.")
    chat_template: bool = Field(
        True, description="Whether all subjects read the chat template, prompts being system messages; else plain text."
    )
    limit: int | None = Field(None, ge=1, description="Only the first n documents.")
    filters: tuple[str, ...] | None = Field(None, description="Only these answer filters; absent: all.")


class ResolvedOpenQuestions(Spec):
    """Free answers to questions about each trait, rated by a judge."""

    kind: Literal["open_questions"] = "open_questions"
    questions: DataRef
    judge: ResolvedJudge
    numbers: Literal[2] = Field(2, description=NUMBERS)


class ResolvedLinguistic(Spec):
    """Shares of word categories in free texts."""

    kind: Literal["linguistic"] = "linguistic"
    lexicon: Digest
    prompts: tuple[str, ...]


class ResolvedStory(Spec):
    """Shares of word categories in stories."""

    kind: Literal["story"] = "story"
    lexicon: Digest
    prompts: tuple[str, ...]


class ResolvedLayerSimilarity(Spec):
    """Cosine between the hidden states of base and subject after every block."""

    kind: Literal["layer_similarity"] = "layer_similarity"
    data: DataRef
    rows: int


class ResolvedPlugin(Spec):
    """A benchmark of another package: its kind and options, with digests in the place of files."""

    kind: Literal["plugin"] = "plugin"
    benchmark: str = Field(description="The kind as a spec writes it.")
    options: dict[str, JsonValue] = Field({}, description="Every other field that is given.")
    files: dict[str, Digest] = Field({}, description="Field that names a file or folder -> digest of its content.")
    data: DataRef | None = Field(None, description="Dialogues, where it has a field `data`.")


ResolvedBenchmark = Annotated[
    ResolvedReplyContrast
    | ResolvedQuestionnaire
    | ResolvedLmEval
    | ResolvedOpenQuestions
    | ResolvedLinguistic
    | ResolvedStory
    | ResolvedLayerSimilarity
    | ResolvedPlugin,
    Field(discriminator="kind"),
]
