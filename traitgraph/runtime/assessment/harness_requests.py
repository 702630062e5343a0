"""Load tasks of lm-evaluation-harness, build their requests once, and put them to a loaded model.

Loading and drawing worked examples use fixed seeds (the harness's own), so that every process asks the same questions.
Must not know other benchmarks.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from traitgraph.runtime.data.data_files import DataError
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.jobs.process import randomness_kept
from traitgraph.runtime.models.chat import (
    TEMPLATE_VARIABLES,
    ChatTemplateError,
    Message,
    PromptMessage,
    heard,
    with_prompt_message,
)
from traitgraph.runtime.models.forward_pass import writing
from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.folders.harness_tasks import harness_identity
from traitgraph.specs.folders.task_folder import PACKAGED, TaskFolder, placed
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.source.diagnostics import near_hint, near_names

if TYPE_CHECKING:
    import torch
    from lm_eval.api.group import Group
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM


LOADING_SEED = 0
"""Of Python's generator while a task loads: GPQA shuffles its options with it. (the harness's random_seed)"""
SAMPLING_SEED = 1234
"""Of worked examples and of sampled answers. (the harness's fewshot, numpy and torch seeds)"""
GENERATION_BATCH = 8

EncodedRequest = tuple[tuple[str, str], list[int], list[int]]


class TaskError(ValueError):
    """A task of the harness that cannot be found or must not run."""


class Rendering(NamedTuple):
    """What decides the prompts of a task: equal renderings share their requests."""

    benchmark: ResolvedBenchmark
    prompt_message: PromptMessage | None


class Document(NamedTuple):
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


class FrozenTask:
    """A task whose prompts are built; it can be asked of one subject after the other."""

    def __init__(self, name: str, task: Task, filters: tuple[str, ...] | None, folder: Path | None) -> None:
        self.name = name
        self.task = task
        ordered = sorted(task.instances, key=lambda each: (each.doc_id, each.idx))
        grouped = [(number, list(asked)) for number, asked in groupby(ordered, key=lambda each: each.doc_id)]
        self.documents = [Document(number, requests[0].doc, requests) for number, requests in grouped]
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
    system, user = rendering.prompt_message or PromptMessage()
    if not chat and (system := "\n\n".join(filter(None, (system, user)))):
        system += task.config.fewshot_delimiter  # the harness puts nothing between it and the question

    def rendered(conversation: list[Message], **options: Any) -> str:
        text: str = model.apply_chat_template(with_prompt_message(conversation, PromptMessage(user=user)), **options)
        return text

    task.build_all_requests(
        limit=rendering.benchmark.limit,
        rank=0,
        world_size=1,
        system_instruction=system or None,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        chat_template=rendered if chat else None,
        tokenizer_name=model.tokenizer_name if chat else "",
    )


def _check_examples(task: Task) -> None:
    examples = getattr(getattr(task, "sampler", None), "df", None)
    split, shots = task.fewshot_cfg.split if examples is not None else None, task.config.num_fewshot
    needed = shots + (split is not None and split == task.config.test_split)  # no question is shown its own answer
    if shots and examples is not None and needed > len(examples):
        raise TaskError(f"{shots} worked examples of '{task.config.task}' need {needed}, there are {len(examples)}")


@contextmanager
def seeded() -> Iterator[None]:
    """Every random generator at the harness's seed inside the block, and as it was after it."""
    import numpy
    import torch

    with randomness_kept():
        random.seed(LOADING_SEED)
        numpy.random.seed(SAMPLING_SEED)
        torch.manual_seed(SAMPLING_SEED)
        yield


def harness_model(loaded: LoadedModel) -> HFLM:
    """The loaded model as the harness wants it. It sees every later change of the weights; wrap once a session.

    Continuations are scored by us: the harness pads every (question, option) pair and computes it from the first token;
    here options share their question, and questions share instructions and worked examples. Numbers agree up to
    rounding; a test compares them.
    """
    from lm_eval.models.huggingface import HFLM

    class SharedPrefixModel(HFLM):  # type: ignore[misc]  # the library is untyped
        """A causal model that computes shared tokens once."""

        on_batch: Callable[[int, int], None] | None = None

        def _loglikelihood_tokens(
            self, requests: list[EncodedRequest], disable_tqdm: bool = False, override_bs: int | None = None
        ) -> list[tuple[float, bool]]:
            fitting = [fitting_request(context, rest, self.max_length) for _, context, rest in requests]
            scores = continuation_likelihoods(loaded, fitting, self.on_batch)
            return [(score.total, score.greedy) for score in scores]

        def _model_generate(self, context: torch.Tensor, **options: Any) -> torch.Tensor:
            with writing(context.shape[1]):
                made: torch.Tensor = super()._model_generate(context=context, **options)
            return made

        def apply_chat_template(self, chat_history: list[Message], add_generation_prompt: bool = True) -> str:
            render: Any = self.tokenizer.apply_chat_template
            options = {"tokenize": False, "add_generation_prompt": add_generation_prompt, **TEMPLATE_VARIABLES}
            options["continue_final_message"] = not add_generation_prompt
            # The harness would leave out a system message that the template does not know, and the personality with it.
            return heard(chat_history, lambda each: str(render(each, **options)))[1]

    return SharedPrefixModel(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=GENERATION_BATCH)


def fitting_request(context: list[int], continuation: list[int], max_length: int) -> Request:
    """The request cut from the left to what the model can see, as the harness cuts it."""
    tokens = tuple(context + continuation)[-(max_length + 1) :]
    return Request(tokens[: -len(continuation)], tokens[-len(continuation) :])
