"""Load tasks of lm-evaluation-harness and build their requests once.

Loading and drawing worked examples use fixed seeds (the harness's own), so that every process asks the same questions.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from traitgraph.runtime.data.data_files import DataError
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import ChatTemplateError, Message, PromptMessage, with_prompt_message
from traitgraph.specs.folders.harness_tasks import harness_identity
from traitgraph.specs.folders.task_folder import PACKAGED, TaskFolder, placed
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.source.diagnostics import near_hint, near_names

if TYPE_CHECKING:
    from lm_eval.api.group import Group
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM


LOADING_SEED = 0
"""Of Python's generator while a task loads: GPQA shuffles its options with it. (the harness's random_seed)"""
SAMPLING_SEED = 1234
"""Of worked examples and of sampled answers. (the harness's fewshot, numpy and torch seeds)"""


class TaskError(ValueError):
    """A task of the harness that cannot be found or must not run."""


class Rendering(NamedTuple):
    """What decides the prompts of a task: equal renderings share their requests."""

    benchmark: ResolvedBenchmark
    prompt_message: PromptMessage | None


@dataclass(frozen=True)
class Document:
    """One question of a task with its requests."""

    number: int
    doc: Any
    requests: list[Instance]

    @property
    def prompt(self) -> str:
        """The text before the (first) answer."""
        return str(self.requests[0].args[0])

    def asked(self) -> dict[str, list[Any]]:
        """What the model read and, where it wrote, what it wrote: each text once, however many options follow it."""
        rest = dict.fromkeys(part for request in self.requests for part in request.args[1:] if isinstance(part, str))
        wrote = any(request.request_type == "generate_until" for request in self.requests)
        kept = {
            "prompts": list(dict.fromkeys(str(request.args[0]) for request in self.requests)),
            "continuations": list(rest),
            "raw": [request.resps for request in self.requests if wrote],  # a likelihood stands in the answers as it is
        }
        return {name: texts for name, texts in kept.items() if texts}

    def answers(self, filter_name: str) -> list[Any]:
        """What a filter left of the model's answer to each request."""
        return [request.filtered_resps[filter_name] for request in self.requests]


class FrozenTask:
    """A task whose prompts are built; it can be asked of one subject after the other."""

    def __init__(
        self, name: str, task: Task, filters: tuple[str, ...] | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self.task = task
        self.documents = _documents(task)
        self.filters = [each for each in filters_of(task) if each in (filters or (each,))]
        """Those that are reported."""
        self.folder = folder

    def at_home(self) -> AbstractContextManager[None]:
        """Stand where files that the task's own code names are found."""
        return chdir(self.folder) if self.folder else nullcontext()

    @property
    def shots(self) -> int:
        """How many worked examples stand in its prompts."""
        return self.task.config.num_fewshot or 0

    def ask(self, model: HFLM) -> None:
        """Put every request to the model and filter the answers; forgets those of the last subject."""
        instances: list[Instance] = self.task.instances
        for instance in instances:
            instance.resps, instance.filtered_resps = [], {}
        for kind in dict.fromkeys(instance.request_type for instance in instances):
            asked = [one for one in instances if one.request_type == kind for _ in range(one.repeats or 1)]
            with seeded():
                answers = getattr(model, kind)(asked, disable_tqdm=True)
            for instance, answer in zip(asked, answers, strict=True):
                instance.resps.append(answer)
        with self.at_home():
            self.task.apply_filters()


class TaskSet(NamedTuple):
    """What a name of the harness stands for."""

    tasks: list[FrozenTask]
    groups: list[Group]
    """The group of that name first, then those inside it; none of a task or tag."""


def filters_of(task: Task) -> list[str]:
    """Names of a task's filters; 'none' where it has none of its own."""
    return [each["name"] for each in task.config.filter_list or ({"name": "none"},)]


def frozen_tasks(locations: Mapping[str, str], model: HFLM, rendering: Rendering) -> TaskSet:
    """The task of a benchmark, or every task of a group or tag, with requests built.

    Raises TaskError where there is none, or none as it was planned, and DataError for files outside of its folder.
    """
    benchmark = rendering.benchmark
    folder = verified(locations, benchmark.definition) if benchmark.definition else None
    here = harness_identity(None if folder else benchmark.task)
    if benchmark.harness not in (None, here):
        raise TaskError(f"'{benchmark.task}' was planned with {benchmark.harness}, here is {here}: plan again with it")
    # The data set is read into memory; the files that the library writes on the way are nobody's later.
    with seeded(), tempfile.TemporaryDirectory(prefix="traitgraph-") as scratch, chdir(folder or Path.cwd()):
        found = _local(benchmark, folder, Path(scratch)) if folder else _built_in(benchmark)
        tasks: dict[str, Task] = found["tasks"]
        _check_filters(tasks, benchmark)
        for name, task in tasks.items():
            if getattr(task, "UNSAFE_CODE", False):
                raise TaskError(f"lm-eval task '{name}' runs code that a model wrote; traitgraph does not run it")
            _build_requests(task, model, rendering)
    groups = sorted(found["groups"].values(), key=lambda group: group.name != benchmark.task)
    return TaskSet([FrozenTask(name, task, benchmark.filters, folder) for name, task in tasks.items()], groups)


def _check_filters(tasks: Mapping[str, Task], benchmark: ResolvedBenchmark) -> None:
    known = dict.fromkeys(name for task in tasks.values() for name in filters_of(task))
    for name in benchmark.filters or ():
        if name not in known:
            raise TaskError(f"lm-eval task '{benchmark.task}' has no filter '{name}'; {near_hint(name, known)}")
    for name, task in tasks.items():
        if benchmark.filters and not set(filters_of(task)) & set(benchmark.filters):
            raise TaskError(f"lm-eval task '{name}' has none of the filters; it has: {', '.join(filters_of(task))}")


def _built_in(benchmark: ResolvedBenchmark) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    _check_name(benchmark.task, manager.all_tasks, "lm-eval")
    found: dict[str, Any] = manager.load([benchmark.task])
    for task in found["tasks"].values():
        if task.DATASET_PATH not in (None, *PACKAGED) and Path(task.DATASET_PATH).exists():
            raise TaskError(f"the working folder has a '{task.DATASET_PATH}', read in place of the hub's: move it away")
    return found


def _local(benchmark: ResolvedBenchmark, folder: Path, scratch: Path) -> dict[str, Any]:
    """What a folder of definitions has under a name, all paths in it being the folder's own."""
    from lm_eval.tasks import TaskManager

    try:
        from lm_eval.tasks._yaml_loader import load_yaml  # private, and the only reader of its own dialect
    except ImportError as gone:
        raise TaskError("this release of lm-eval has no `tasks._yaml_loader`; take an older one") from gone

    definitions = TaskFolder(folder)
    if faults := definitions.faults_of(benchmark.task):
        raise DataError(faults)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    _check_name(benchmark.task, manager.all_tasks, f"the folder {folder.name}")
    bases = {each.path: each.bases for each in definitions.reached(benchmark.task)}
    for entry in manager.task_index.values():
        if entry.yaml_path in bases:  # as it was read, so that the manager does not read it again
            config = placed(load_yaml(entry.yaml_path), bases[entry.yaml_path], _refuse)
            if config.get("dataset_path") in PACKAGED or Path(str(config.get("dataset_path"))).exists():
                options = config.get("dataset_kwargs") or {}
                config["dataset_kwargs"] = {**options, "cache_dir": str(scratch), "keep_in_memory": True}
            entry.cfg, entry.yaml_path = config, None
    return dict(manager.load([benchmark.task]))


def _refuse(name: str, why: str) -> None:
    raise TaskError(f"{name}: {why}")


def _check_name(name: str, names: list[str], where: str) -> None:
    if name not in names:
        near = ", ".join(near_names(name, names))
        raise TaskError(f"{where} has no lm-eval task or group '{name}'" + (f"; near: {near}" if near else ""))


def _build_requests(task: Task, model: HFLM, rendering: Rendering) -> None:
    shots, own = rendering.benchmark.shots, task.config.num_fewshot
    if own is None or (own and shots is not None):  # a task that says 0 stays there, as in the harness
        task.set_config("num_fewshot", shots or 0)
    task.set_fewshot_seed(seed=SAMPLING_SEED)
    _check_examples(task)
    chat = rendering.benchmark.chat_template
    if chat and not model.tokenizer.chat_template:
        raise ChatTemplateError(f"the model has no chat template; give `chat_template: false` for {task.config.task}")
    prompt_message = rendering.prompt_message or PromptMessage("")
    system = prompt_message.text if prompt_message.place == "system" or not chat else None
    if system and not chat:
        system += task.config.fewshot_delimiter  # the harness puts nothing between it and the question
    task.build_all_requests(
        limit=rendering.benchmark.limit,
        rank=0,
        world_size=1,
        system_instruction=system or None,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        chat_template=_template(model, prompt_message) if chat else None,
        tokenizer_name=model.tokenizer_name if chat else "",
    )


def _check_examples(task: Task) -> None:
    examples = getattr(getattr(task, "sampler", None), "df", None)
    split, shots = task.fewshot_cfg.split if examples is not None else None, task.config.num_fewshot
    needed = shots + (split is not None and split == task.config.test_split)  # no question is shown its own answer
    if shots and examples is not None and needed > len(examples):
        raise TaskError(f"{shots} worked examples of '{task.config.task}' need {needed}, there are {len(examples)}")


def _template(model: HFLM, prompt_message: PromptMessage) -> Callable[..., str]:
    """The model's chat template, after a prompt_message that stands in the user messages."""
    if prompt_message.place == "system":
        template: Callable[..., str] = model.apply_chat_template
        return template

    def rendered(conversation: list[Message], **options: Any) -> str:
        text: str = model.apply_chat_template(with_prompt_message(conversation, prompt_message), **options)
        return text

    return rendered


def _documents(task: Task) -> list[Document]:
    grouped: dict[int, list[Instance]] = {}
    for instance in task.instances:
        grouped.setdefault(instance.doc_id, []).append(instance)
    return [
        Document(number, requests[0].doc, sorted(requests, key=lambda request: request.idx))
        for number, requests in sorted(grouped.items())
    ]


@contextmanager
def seeded() -> Iterator[None]:
    """Every random generator at the harness's seed inside the block, and as it was after it."""
    import numpy
    import torch

    plain, array = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng():
        random.seed(LOADING_SEED)
        numpy.random.seed(SAMPLING_SEED)
        torch.manual_seed(SAMPLING_SEED)
        try:
            yield
        finally:
            random.setstate(plain)
            numpy.random.set_state(array)
