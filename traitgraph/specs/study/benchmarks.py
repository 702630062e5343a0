"""What a subject is measured with, as a spec writes it: `benchmarks: [mini-ipip, {kind: lm_eval, task: arc_easy}]`.

kind             measures
reply_contrast   likelihood gap between high and low held-out replies
questionnaire    items on a scale: by option likelihood, by a written number, or by interview and judge
open_questions   free answers to questions about the trait, rated by a judge
linguistic       word categories in free self-descriptions
story            word categories in a written story
lm_eval          any task or group of lm-evaluation-harness

Each class is the one record of its benchmark: what a spec may write, what of it is in a job's key, which function
measures. Where lists of them are read: `benchmark_list.py`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, model_validator

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import KnownName
from traitgraph.specs.fields.pydantic_errors import existing, file_wanted, located, nothing_at
from traitgraph.specs.fields.references import Name
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.folders.harness_tasks import family_of, near_tasks, tasks_folder
from traitgraph.specs.folders.task_folder import TaskFolder
from traitgraph.specs.source.library import LIBRARY, from_folder, is_file, is_folder, user_folder

from .data import Data, Rows
from .forms import Forms
from .judges import Judge
from .traits import Traits

WRITTEN_NUMBER = 16
"""A number at the head of an answer needs no more. [tokens]"""

NUMBERS = 2
"""Edition of the rules by which numbers are read from texts: a part of keys that nobody reads."""


@dataclass(frozen=True)
class Mode:
    """How an item of a questionnaire is asked, and how its answer is read.

    A package adds one as a member of its plug-in (docs/extending/questionnaire-mode.md).
    """

    name: str
    about: str
    """What it does, for people."""
    function: str
    """"module:function" of the runtime, which is called as that of a benchmark is (`Measured`)."""
    judged: bool = False
    """Whether a judge rates the answers."""
    longest_answer: int | None = None
    """Tokens after which an answer ends in any case; 0: none is written; None: only `sampling` ends it."""
    reads_numbers: bool = True
    """Whether a number is read from a text: by which edition of the rules is then part of the key."""
    forms: tuple[str, ...] = ()
    """Axes of `forms` that it can ask."""
    follows_up: bool = False
    """Whether it goes on with `follow_ups`."""


MODES: Registry[Mode] = Registry(
    "mode of a questionnaire",
    "traitgraph.questionnaire_modes",
    (
        Mode(
            "choice",
            "likelihood of the option letters, both orders; nothing is written",
            "traitgraph.runtime.assessment.questionnaires.modes:measure_choices",
            longest_answer=0,
            reads_numbers=False,
            forms=("option_order", "wording", "labels", "language"),
        ),
        Mode(
            "generate",
            f"the model writes a number, of {WRITTEN_NUMBER} tokens at most",
            "traitgraph.runtime.assessment.questionnaires.modes:measure_numbers",
            longest_answer=WRITTEN_NUMBER,
            forms=("option_order", "wording", "language"),
        ),
        Mode(
            "interview",
            "it answers an open question, and `judge` puts the answer on the scale",
            "traitgraph.runtime.assessment.judged.interviews:measure_items",
            judged=True,
            follows_up=True,
        ),
    ),
    base=Mode,
)


class Measured(Spec):
    """What is measured of each subject: a benchmark, or an analysis that looks at one subject."""

    kind: str
    function: ClassVar[str] = ""
    """"module:function" of the runtime: `function(context, loaded, params, benchmark) -> Measurement`."""
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file or folder: a job carries the digest of its content."""
    file_ending: ClassVar[str] = ""
    """End of the names of these files; empty: of any name, or folders."""
    fills: ClassVar[tuple[str, ...]] = ()
    """Keys of the arm that fill the fields of that name when they are left out."""
    draws: ClassVar[bool] = False
    """Whether answers are sampled."""
    in_jobs: ClassVar[tuple[str, ...]] = ()
    """What a job carries of a built-in one, in this order; one of a package is carried in a form for all."""

    @property
    def longest_answer(self) -> int | None:
        """Tokens after which a drawn answer ends in any case; 0: none is written; None: only `sampling` ends it."""
        return None

    def facts(self, harness: Callable[[str | None], str | None]) -> dict[str, object]:
        """What a job carries that is no field, or not as it was written; `harness`: the release of lm-eval."""
        return {}


class Benchmark(Measured):
    """One benchmark. That of a package is a subclass with a `kind` of its own (docs/data.md)."""

    name: Name = Field(
        "", description="Name in results; absent: the task's, the kind's, or the `name` in the questionnaire's file."
    )

    def settled(self, folder: Path) -> Self:
        """Itself with a name and absolute paths. Raises pydantic's errors for a path that is not there."""
        paths = {
            key: str(existing(getattr(self, key), folder, key, self.file_ending))
            for key in self.files
            if getattr(self, key)
        }
        return self.model_copy(update={"name": self.name or self.own_name(), **paths})

    def own_name(self) -> str:
        """The name when the spec gives none."""
        return self.kind


class ReplyContrast(Benchmark):
    """Log-likelihood gap per token between high and low held-out replies to the same prompt, for each trait."""

    kind: Literal["reply_contrast"] = Field("reply_contrast", description="Gap between high and low held-out replies.")
    fills: ClassVar[tuple[str, ...]] = ("traits", "data")
    function: ClassVar[str] = "traitgraph.runtime.assessment.reply_contrast:measure"
    in_jobs: ClassVar[tuple[str, ...]] = ("data", "traits")
    data: Data | None = Field(
        None, validate_default=False, description="Rows of split `test` are scored; absent: the arm's data."
    )
    traits: Traits = Field(
        (), validate_default=False, description="Traits whose replies are scored; absent: the arm's."
    )


def _judge_where_one_rates(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `Questionnaire` checks: an interview, and nothing else, has a judge."""
    rated = [name for name, mode in MODES.items() if mode.judged]
    interview = {
        "properties": {"mode": {"const": rated[0]} if len(rated) == 1 else {"enum": rated}},
        "required": ["mode"],
    }
    judged = {"required": ["judge"], "properties": {"judge": {"not": {"type": "null"}}}}
    schema.update({"if": interview, "then": judged, "else": {"not": judged}})


def _about_modes(schema: dict[str, Any]) -> None:
    """Say in JSON Schema and reference what each mode does, those of packages included."""
    schema["description"] = " ".join(f"{name}: {mode.about}." for name, mode in MODES.items())


class Questionnaire(Benchmark):
    """Items answered on a scale, scored per domain, with validity checks."""

    model_config = ConfigDict(json_schema_extra=_judge_where_one_rates)

    kind: Literal["questionnaire"] = Field("questionnaire", description="Items answered on a scale.")
    draws: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("items",)
    function: ClassVar[str] = "traitgraph.runtime.assessment.questionnaires.modes:measure"
    in_jobs: ClassVar[tuple[str, ...]] = (
        "items",
        "mode",
        "judge",
        "numbers",
        "forms",
        "follow_ups",
        "letters",
        "levels",
    )
    items: str = Field(
        min_length=1,
        description="A questionnaire of the library or of yours (`questionnaire/NAME.json` beside the spec, or in "
        "`~/.config/traitgraph`), or the path of a JSON file of items, ours or TRAIT's.",
    )
    mode: Annotated[str, KnownName("", MODES.names, MODES.builtin)] = Field(
        "choice", description="How items are asked and answers read.", json_schema_extra=_about_modes
    )
    judge: Judge | None = Field(None, validate_default=False, description="Who rates the answers of an interview.")
    forms: Forms | None = Field(
        None, description="Other ways to ask the same items, each axis with every other; one job asks them all."
    )

    follow_ups: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=1,
        description="What an interview asks next, in turn; the judge reads the whole conversation about an item.",
    )

    @model_validator(mode="after")
    def _judge_where_needed(self) -> Self:
        judged = MODES.get(self.mode).judged
        if judged and self.judge is None:
            what = "an interview" if self.mode == "interview" else f"`mode: {self.mode}`"
            raise ValueError(f"{what} needs a `judge`")
        if not judged and self.judge is not None:
            useless = f"`judge` has no effect with `mode: {self.mode}`"
            raise located("judge", self.judge.name, "no_effect", message=useless)
        if self.follow_ups and not MODES.get(self.mode).follows_up:
            useless = f"`follow_ups` has no effect with `mode: {self.mode}`"
            raise located("follow_ups", self.follow_ups, "no_effect", message=useless)
        for axis in self.forms.values if self.forms else ():
            if axis not in MODES.get(self.mode).forms:
                useless = f"`forms.{axis}` has no effect with `mode: {self.mode}`"
                raise located("forms", axis, "no_effect", message=useless)
        return self

    @property
    def longest_answer(self) -> int | None:
        """As the mode has it: none is written where letters are compared, and a number is short."""
        return MODES.get(self.mode).longest_answer

    def facts(self, harness: Callable[[str | None], str | None]) -> dict[str, object]:
        """By which edition of the rules numbers are read from texts."""
        return {"numbers": NUMBERS if MODES.get(self.mode).reads_numbers else None}

    def settled(self, folder: Path) -> Self:
        """Itself with the absolute path of its items."""
        path = questionnaire_path(self.items, folder) or from_folder(folder, self.items)
        if is_folder(path):
            raise file_wanted(path, self.items, "items", ".json")
        if not is_file(path) and ("/" in self.items or self.items.endswith(".json")):
            raise nothing_at(path, self.items, "items", ".json")
        if not is_file(path):
            facts = {"noun": "questionnaire", "value": self.items, "names": questionnaire_names()}
            if self.items.lower().replace("_", "-") in PROTECTED:
                facts |= {"noun": "benchmark", "instead": where_to_put(self.items)}
                raise located("items", self.items, "choice_unknown", **facts)
            raise located("items", self.items, "name_unknown", **facts)
        named = self.name or _name_inside(path) or path.stem
        forms = self.forms and self.forms.settled(folder)
        return self.model_copy(update={"items": str(path), "name": named, "forms": forms})


class OpenQuestions(Benchmark):
    """Free answers to questions about each trait; a judge rates trait and fluency from 1 to 5 (NPTI)."""

    kind: Literal["open_questions"] = Field("open_questions", description="Free answers, rated by a judge.")
    draws: ClassVar[bool] = True
    function: ClassVar[str] = "traitgraph.runtime.assessment.judged.interviews:measure_traits"
    in_jobs: ClassVar[tuple[str, ...]] = ("questions", "judge", "numbers", "meanings")
    questions: Rows = Field(description="Rows with a prompt and a trait.")
    judge: Judge = Field(description="Who rates the answers.")

    def facts(self, harness: Callable[[str | None], str | None]) -> dict[str, object]:
        """By which edition of the rules numbers are read from texts."""
        return {"numbers": NUMBERS}


class Linguistic(Benchmark):
    """Shares of word categories in the words of free texts about oneself, `sampling.repeats` texts for each prompt.

    Dictionaries such as LIWC are the property of others: bring your own.
    """

    kind: Literal["linguistic"] = Field("linguistic", description="Word categories in self-descriptions.")
    draws: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("lexicon",)
    file_ending: ClassVar[str] = ".json"
    function: ClassVar[str] = "traitgraph.runtime.assessment.word_categories:measure"
    in_jobs: ClassVar[tuple[str, ...]] = ("lexicon", "prompts")
    lexicon: str = Field(
        min_length=1,
        description="Path of a dictionary: a JSON file, category -> words; `*` at the end: any ending. (docs/data.md; "
        "a small one of ours: examples/papers/lexicon.json)",
    )
    prompts: tuple[str, ...] = Field(
        ("Tell me about yourself in 300 words.",), min_length=1, description="What is asked. (Personality Vector)"
    )


class Story(Linguistic):
    """Shares of word categories in the words of a story; the report correlates them with the level (PersonaLLM)."""

    kind: Literal["story"] = Field("story", description="Word categories in a written story.")  # type: ignore[assignment]  # another tag
    prompts: tuple[str, ...] = Field(
        ("Tell a personal story in 800 words without naming your personality traits.",),
        min_length=1,
        description="What is asked; our wording, the length is that of PersonaLLM.",
    )


class LmEval(Benchmark):
    """A task or group of lm-evaluation-harness: one of its own, or a local task folder."""

    kind: Literal["lm_eval"] = Field("lm_eval", description="A task or group of lm-evaluation-harness.")
    files: ClassVar[tuple[str, ...]] = ("folder",)
    function: ClassVar[str] = "traitgraph.runtime.assessment.harness_task:measure"
    in_jobs: ClassVar[tuple[str, ...]] = (
        "task", "definition", "harness", "shots", "chat_template", "limit", "filters",
    )  # fmt: skip
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
        found = Path(settled.folder) if settled.folder else None
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
        return settled

    def facts(self, harness: Callable[[str | None], str | None]) -> dict[str, object]:
        """Release of the harness and, of a built-in task, a digest of what defines it; None: not installed."""
        return {"harness": harness(None if self.folder else self.task)}

    def built_in(self) -> TaskFolder | None:
        """The folder of the installed harness that defines the task; None where there is none."""
        tasks = tasks_folder()
        family = family_of(tasks, self.task) if tasks else None
        return TaskFolder(family) if family else None

    def own_name(self) -> str:
        """The task's name."""
        return self.task


BENCHMARKS: Registry[type[Benchmark]] = Registry(
    "benchmark",
    "traitgraph.benchmarks",
    (ReplyContrast, Questionnaire, OpenQuestions, Linguistic, Story, LmEval),
    base=Benchmark,
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


def questionnaire_path(name: str, folder: Path | None = None) -> Path | None:
    """The file of a questionnaire by its name: beside the spec, in the user's folder or in the library; or None."""
    folders = (folder, user_folder(), LIBRARY) if folder else (LIBRARY,)
    paths = [each / "questionnaire" / f"{name}.json" for each in folders if not set(name) & set("/\\\0")]
    return next(filter(is_file, paths), None)


PROTECTED = ("bfi", "bfi-44", "bfi44", "bfi-2", "bfi-10", "neo-pi-r", "neo-pi-3", "neo-ffi", "neo-ffi-3")
"""Questionnaires of the Big Five that people ask for and that we may not ship."""


def where_to_put(name: str) -> str:
    """How a user makes one of them known."""
    return (
        "its wording is protected and does not come with us: put its items (docs/data.md) into\n"
        f"questionnaire/{name}.json beside the spec, or ~/.config/traitgraph/questionnaire/{name}.json for every spec"
    )


def _name_inside(path: Path) -> str:
    """The `name` that a questionnaire gives itself; '' where it gives none that names can be."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Name).validate_python(content.get("name"))
    except (OSError, ValueError, AttributeError):  # what is wrong with the file is said when its items are read
        return ""
