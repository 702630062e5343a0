"""What a subject is measured with, as a spec writes it: `benchmarks: [mini-ipip, {kind: lm_eval, task: arc_easy}]`.

kind             measures
reply_contrast   likelihood gap between high and low held-out replies
questionnaire    items on a scale: by option likelihood, by a written number, or by interview and judge
open_questions   free answers to questions about the trait, rated by a judge
linguistic       word categories in free self-descriptions
story            word categories in a written story
lm_eval          any task or group of lm-evaluation-harness

The compiler turns each into a `Resolved*` of `benchmarks.py`. Where they are read: `benchmark_list.py`.
"""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, model_validator
from pydantic_core import ValidationError

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import existing, file_wanted, located, nothing_at
from traitgraph.specs.fields.references import Name, Named, Reference
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.source.library import LIBRARY, VARIABLE, from_folder, is_file, is_folder

from .data import Rows
from .generation import Data
from .harness_tasks import family_of, near_tasks, tasks_folder
from .models import Model
from .task_folder import TaskFolder
from .traits import Traits


class JudgeLimits(Spec):
    """How long and how much is read of one reply. They change no result, so they stand in no job's identity."""

    timeout: float = Field(
        60.0, gt=0, le=3600, allow_inf_nan=False, description="Longest time from a request to the last byte. [s]"
    )
    max_bytes: int = Field(4 << 20, ge=1 << 10, le=1 << 30, description="Longest reply. [bytes]")


class JudgeSpec(Named):
    """What every judge has."""

    temperature: float = Field(0.0, ge=0, description="Softmax temperature of the judge. (0: Personality Vector)")


class ApiJudgeSpec(JudgeSpec, JudgeLimits):
    """A model behind an HTTP interface of chat completions."""

    key: ClassVar[str] = "url"
    url: str = Field(pattern="^https?://", description="Base address of the interface.")
    model: str = Field(min_length=1, description="Name of the model there, best a dated one.")
    key_from: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Environment variable that holds the key; never the key itself.",
    )

    def own_name(self) -> str:
        """The model's name."""
        return self.model.rsplit("/", 1)[-1]


class LocalJudgeSpec(JudgeSpec):
    """A model that runs here."""

    key: ClassVar[str] = "local"
    local: Model = Field(description="The judging model.")

    def own_name(self) -> str:
        """The model's name."""
        return self.local.name


Judge = Annotated[JudgeSpec, Reference("judge", "judge", ApiJudgeSpec, LocalJudgeSpec)]
"""A judge: a preset, or a mapping with `url` or `local`."""

WRITTEN_NUMBER = 16
"""A number at the head of an answer needs no more. [tokens]"""


class Instrument(Spec):
    """One measure.

    `draws` says whether answers are sampled; `fills` which keys of the arm fill fields of that name when they are left
    out here. A plugin's benchmark is a subclass with a `kind` of its own; `files` are its fields that name a file or
    folder (docs/data.md).
    """

    kind: str
    draws: ClassVar[bool] = False
    fills: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[tuple[str, ...]] = ()
    name: Name = Field(
        "", description="Name in results; absent: the task's, the kind's, or the `name` in the questionnaire's file."
    )

    def settled(self, folder: Path) -> Self:
        """Itself with a name and absolute paths. Raises pydantic's errors for a path that is not there."""
        paths = {key: str(existing(getattr(self, key), folder, key)) for key in self.files if getattr(self, key)}
        return self.model_copy(update={"name": self.name or self.own_name(), **paths})

    @property
    def longest_answer(self) -> int | None:
        """Tokens after which a drawn answer ends in any case; 0: none is written; None: only `sampling` ends it."""
        return None

    def own_name(self) -> str:
        """The name when the spec gives none."""
        return self.kind


class ReplyContrast(Instrument):
    """Log-likelihood gap per token between high and low held-out replies to the same prompt, for each trait."""

    kind: Literal["reply_contrast"] = Field("reply_contrast", description="Gap between high and low held-out replies.")
    fills: ClassVar[tuple[str, ...]] = ("traits", "data")
    data: Data | None = Field(
        None, validate_default=False, description="Rows of split `test` are scored; absent: the arm's data."
    )
    traits: Traits = Field(
        (), validate_default=False, description="Traits whose replies are scored; absent: the arm's."
    )


def _judge_for_interviews(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `Questionnaire` checks: an interview, and nothing else, has a judge."""
    interview = {"properties": {"mode": {"const": "interview"}}, "required": ["mode"]}
    judged = {"required": ["judge"], "properties": {"judge": {"not": {"type": "null"}}}}
    schema.update({"if": interview, "then": judged, "else": {"not": judged}})


class Questionnaire(Instrument):
    """Items answered on a scale, scored per domain, with validity checks."""

    model_config = ConfigDict(json_schema_extra=_judge_for_interviews)

    kind: Literal["questionnaire"] = Field("questionnaire", description="Items answered on a scale.")
    draws: ClassVar[bool] = True
    items: str = Field(min_length=1, description="A questionnaire of the library, or the path of a JSON file of items.")
    mode: Literal["choice", "generate", "interview"] = Field(
        "choice",
        description="choice: likelihood of the option letters, both orders; nothing is written. "
        f"generate: the model writes a number, of {WRITTEN_NUMBER} tokens at most. "
        "interview: it answers an open question, and `judge` puts the answer on the scale.",
    )
    judge: Judge | None = Field(None, validate_default=False, description="Who rates the answers of an interview.")

    @model_validator(mode="after")
    def _judge_where_needed(self) -> Self:
        if self.mode == "interview" and self.judge is None:
            raise ValueError("an interview needs a `judge`")
        if self.mode != "interview" and self.judge is not None:
            useless = f"`judge` has no effect with `mode: {self.mode}`"
            raise located("judge", self.judge.name, "no_effect", message=useless)
        return self

    @property
    def longest_answer(self) -> int | None:
        """None is written where letters are compared, and a number is short."""
        return {"choice": 0, "generate": WRITTEN_NUMBER}.get(self.mode)

    def settled(self, folder: Path) -> Self:
        """Itself with the absolute path of its items."""
        path = questionnaire_path(self.items) or from_folder(folder, self.items)
        if not is_file(path):
            raise self._missing(path)
        named = self.name or _name_inside(path) or path.stem
        return super().settled(folder).model_copy(update={"items": str(path), "name": named})

    def _missing(self, path: Path) -> ValidationError:
        """Why there are no items: no file at a path, or no questionnaire of that name."""
        if is_folder(path):
            return file_wanted(path, self.items, "items", ".json")
        if "/" in self.items or self.items.endswith(".json"):
            return nothing_at(path, self.items, "items", ".json")
        facts = {"noun": "questionnaire", "value": self.items, "names": questionnaire_names()}
        return located("items", self.items, "name_unknown", **facts)


class OpenQuestions(Instrument):
    """Free answers to questions about each trait; a judge rates trait and fluency from 1 to 5 (NPTI)."""

    kind: Literal["open_questions"] = Field("open_questions", description="Free answers, rated by a judge.")
    draws: ClassVar[bool] = True
    questions: Rows = Field(description="Rows with a prompt and a trait.")
    judge: Judge = Field(description="Who rates the answers.")


class Linguistic(Instrument):
    """Shares of word categories in the words of free texts about oneself, `sampling.repeats` texts for each prompt.

    Dictionaries such as LIWC are the property of others: bring your own.
    """

    kind: Literal["linguistic"] = Field("linguistic", description="Word categories in self-descriptions.")
    draws: ClassVar[bool] = True
    lexicon: str = Field(
        min_length=1,
        description="Path of a dictionary: a JSON file, category -> words; `*` at the end: any ending. (docs/data.md; "
        "a small one of ours: examples/papers/lexicon.json)",
    )
    prompts: tuple[str, ...] = Field(
        ("Tell me about yourself in 300 words.",), min_length=1, description="What is asked. (Personality Vector)"
    )

    def settled(self, folder: Path) -> Self:
        """Itself with the absolute path of its dictionary."""
        path = existing(self.lexicon, folder, "lexicon", ".json")
        return super().settled(folder).model_copy(update={"lexicon": str(path)})


class Story(Linguistic):
    """Shares of word categories in the words of a story; the report correlates them with the level (PersonaLLM)."""

    kind: Literal["story"] = Field("story", description="Word categories in a written story.")  # type: ignore[assignment]  # another tag
    prompts: tuple[str, ...] = Field(
        ("Tell a personal story in 800 words without naming your personality traits.",),
        min_length=1,
        description="What is asked; our wording, the length is that of PersonaLLM.",
    )


class LmEval(Instrument):
    """A task or group of lm-evaluation-harness: one of its own, or a local task folder."""

    kind: Literal["lm_eval"] = Field("lm_eval", description="A task or group of lm-evaluation-harness.")
    task: str = Field(
        min_length=1,
        description="Name of the task, group or tag. It is looked up when the spec is read: in `folder`, or in the "
        "harness where that is installed.",
    )
    folder: str | None = Field(
        None,
        min_length=1,
        description="Folder with the task's YAML file, its code and data: relative paths in it start beside that file, "
        "and nothing outside of the folder is read. Absent: built in.",
    )
    shots: int | None = Field(
        None,
        ge=0,
        description="Worked examples in the prompt; absent: the task's own number. A task that says 0 stays there.",
    )
    chat_template: bool = Field(
        True,
        description="true: the model's chat template, the prompt of a subject as system message, as personality is "
        "trained and measured. false: plain text, the prompt in front of it, as the harness does by default: for "
        "models without a template and for numbers to lay beside published ones. Equal for all subjects. "
        "(BIG5-CHAT: true)",
    )
    limit: PositiveInt | None = Field(None, description="Only the first n documents.")
    filters: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Only these answer filters, e.g. strict-match, are reported; absent: all. Raw answers keep all.",
    )

    def settled(self, folder: Path) -> Self:
        """Itself with an absolute folder that exists and defines the task. Raises pydantic's errors."""
        settled = super().settled(folder)
        found = existing(self.folder, folder, "folder") if self.folder else None
        if found and not is_folder(found):
            raise located("folder", self.folder, "folder_wanted", value=self.folder)
        tasks = None if found or self.task in LM_EVAL_TASKS else tasks_folder()
        if tasks and family_of(tasks, self.task) is None:
            near = {"value": self.task, "names": near_tasks(tasks, self.task)}
            raise located("task", self.task, "task_not_built_in", **near)
        definitions = TaskFolder(found) if found else self.built_in() if self.filters else None
        if definitions and found and not definitions.reached(self.task):
            about: dict[str, Any] = {"value": self.task, "folder": self.folder, "names": definitions.names}
            about["unreadable"] = definitions.unreadable
            raise located("task", self.task, "task_unknown", **about)
        filters = definitions.filters_of(self.task) if definitions else ()
        for name in self.filters or ():
            if filters and name not in filters:
                raise located("filters", name, "name_unknown", noun="filter", value=name, names=filters)
        return settled.model_copy(update={"folder": str(found)} if found else {})

    def built_in(self) -> TaskFolder | None:
        """The folder of the installed harness that defines the task; None where there is none."""
        tasks = tasks_folder()
        family = family_of(tasks, self.task) if tasks else None
        return TaskFolder(family) if family else None

    def own_name(self) -> str:
        """The task's name."""
        return self.task


INSTRUMENTS: Registry[type[Instrument]] = Registry(
    "benchmark",
    "traitgraph.benchmarks",
    {
        "reply_contrast": ReplyContrast,
        "questionnaire": Questionnaire,
        "open_questions": OpenQuestions,
        "linguistic": Linguistic,
        "story": Story,
        "lm_eval": LmEval,
    },
    base=Instrument,
)

LM_EVAL_TASKS = (
    "arc_challenge", "arc_easy", "boolq", "commonsense_qa", "gpqa_diamond_zeroshot", "gpqa_extended_zeroshot",
    "gpqa_main_n_shot", "gpqa_main_zeroshot", "gsm8k", "gsm8k_cot", "gsm8k_cot_llama", "gsm8k_cot_zeroshot",
    "hellaswag", "mathqa", "mmlu", "piqa", "social_iqa", "truthfulqa_gen", "truthfulqa_mc1", "truthfulqa_mc2",
    "winogrande",
)  # fmt: skip
"""Tasks whose name alone is a benchmark: those of the papers and their neighbours (names of lm-eval 0.4.13).

Not all 14,000 of the harness: then every typing error could be a task.
"""


def questionnaire_names() -> tuple[str, ...]:
    """The questionnaires that the library ships."""
    return tuple(sorted(path.stem for path in (LIBRARY / "questionnaire").glob("*.json")))


def questionnaire_path(name: str) -> Path | None:
    """The file of a questionnaire of the library, or None."""
    path = LIBRARY / "questionnaire" / f"{name}.json"
    return path if not set(name) & set("/\\\0") and is_file(path) else None


def _name_inside(path: Path) -> str:
    """The `name` that a questionnaire gives itself; '' where it gives none that names can be."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Name).validate_python(content.get("name"))
    except (OSError, ValueError, AttributeError):  # what is wrong with the file is said when its items are read
        return ""


# JOINED: Who rates free answers: a model behind an API, or a local one. The judge is part of every result it makes.
