"""Load tasks of lm-evaluation-harness and build their requests once.

Loading and drawing worked examples use fixed seeds (the harness's own), so that every process asks the same questions.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from traitgraph.specs.benchmarks import ResolvedLmEval

from ..chat import ChatTemplateError, Lead, Message, led
from ..locations import verified

if TYPE_CHECKING:
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

    benchmark: ResolvedLmEval
    lead: Lead | None


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

    def answers(self, filter_name: str) -> list[Any]:
        """What a filter left of the model's answer to each request."""
        return [request.filtered_resps[filter_name] for request in self.requests]


class FrozenTask:
    """A task whose prompts are built; it can be asked of one subject after the other."""

    def __init__(self, name: str, task: Task) -> None:
        self.name = name
        self.task = task
        self.documents = _documents(task)

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
        self.task.apply_filters()

    def filters(self) -> list[str]:
        """Names of the task's filters; 'none' where it has none of its own."""
        return list(self.task.instances[0].filtered_resps)


def frozen_tasks(locations: Mapping[str, str], model: HFLM, rendering: Rendering) -> list[FrozenTask]:
    """The task of a benchmark, or every task of a group, with requests built. Raises TaskError when there is none."""
    benchmark = rendering.benchmark
    # The data set is read into memory; the files that the library writes on the way are nobody's later.
    with seeded(), tempfile.TemporaryDirectory(prefix="traitgraph-") as scratch:
        tasks = (
            _built_in(benchmark.task)
            if benchmark.definition is None
            else _local(benchmark.task, verified(locations, benchmark.definition), Path(scratch))
        )
    for name, task in tasks.items():
        if getattr(task, "UNSAFE_CODE", False):
            raise TaskError(f"lm-eval task '{name}' runs code that a model wrote; traitgraph does not run it")
        _build_requests(task, model, rendering)
    return [FrozenTask(name, task) for name, task in tasks.items()]


def _built_in(name: str) -> dict[str, Task]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    if name not in manager.all_tasks:
        raise TaskError(f"lm-eval has no task or group '{name}'" + _near(name, manager.all_tasks))
    return dict(manager.load([name])["tasks"])


def _local(name: str, folder: Path, scratch: Path) -> dict[str, Task]:
    """The task from a folder of definitions, with its data files found beside the definition."""
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    entry = manager.task_index.get(name)
    if entry is None:
        raise TaskError(f"the folder {folder.name} defines no lm-eval task '{name}'" + _near(name, manager.all_tasks))
    if entry.yaml_path is None or name not in manager.all_subtasks:
        return dict(manager.load([name])["tasks"])
    config = load_yaml(entry.yaml_path)
    options = dict(config.get("dataset_kwargs") or {})
    if "data_files" in options:
        options["data_files"] = _absolute(options["data_files"], Path(entry.yaml_path).parent)
        options |= {"cache_dir": str(scratch), "keep_in_memory": True}
    return dict(manager.load([{**config, "dataset_kwargs": options}])["tasks"])


def _absolute(files: Any, folder: Path) -> Any:
    """File names made absolute against the definition's folder; addresses stay."""
    match files:
        case str() if "://" not in files:
            return str(folder / files)
        case Mapping():
            return {split: _absolute(inner, folder) for split, inner in files.items()}
        case list():
            return [_absolute(inner, folder) for inner in files]
    return files


def _near(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3)
    return f"; near: {', '.join(near)}" if near else ""


def _build_requests(task: Task, model: HFLM, rendering: Rendering) -> None:
    shots = rendering.benchmark.shots
    if shots is not None or task.config.num_fewshot is None:
        task.set_config("num_fewshot", shots or 0)
    task.set_fewshot_seed(seed=SAMPLING_SEED)
    chat = rendering.benchmark.chat_template
    if chat and not model.tokenizer.chat_template:
        raise ChatTemplateError(f"the model has no chat template; give `chat_template: false` for {task.config.task}")
    lead = rendering.lead or Lead("")
    system = lead.text if lead.place == "system" or not chat else None
    if system and not chat:
        system += task.config.fewshot_delimiter  # the harness puts nothing between it and the question
    task.build_all_requests(
        limit=rendering.benchmark.limit,
        rank=0,
        world_size=1,
        system_instruction=system or None,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        chat_template=_template(model, lead) if chat else None,
        tokenizer_name=model.tokenizer_name if chat else "",
    )


def _template(model: HFLM, lead: Lead) -> Callable[..., str]:
    """The model's chat template, after a lead that stands in the user messages."""
    if lead.place == "system":
        template: Callable[..., str] = model.apply_chat_template
        return template

    def rendered(conversation: list[Message], **options: Any) -> str:
        text: str = model.apply_chat_template(led(conversation, lead), **options)
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
