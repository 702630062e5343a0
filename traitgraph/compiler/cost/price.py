"""What a plan costs: device hours, wall time on the critical path, download and disk, as ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, Stage, TaskDraft, shared_json
from traitgraph.specs.jobs.refs import HubModel
from traitgraph.specs.jobs.results import sort_of
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.training import Lora, Training

from .estimate import Estimator
from .hardware import NOTHING, Range, span, total
from .work import distinct_models, work_of


@dataclass(frozen=True)
class Price:
    """What running the missing jobs takes."""

    device: str
    """Accelerators that the price is for ('a100', 'cpu', 'a100, cpu')."""
    gpu_hours: Range
    """Accelerators x hours."""
    cpu_hours: Range
    """Hours of tasks that need no accelerator, one after the other."""
    wall_hours: Range
    """From the first task to the last, under the throttle, without waiting in a queue."""
    download_bytes: Range
    """Lowest when everything is in the machine's cache already."""
    disk_bytes: Range
    """What the store grows by, and what training needs beside it at its widest."""
    measured: float
    """Share of the missing jobs whose duration comes from the store. [0, 1]"""


def price_plan(draft: Draft, context: Context) -> Price:
    """The price of the missing jobs of a packed draft."""
    estimator = Estimator(draft, context)
    missing = draft.missing_by_stage
    seconds = {task.id: task_seconds(draft, task, estimator) for task in draft.tasks}
    gpu, cpu = _hours(draft, seconds, estimator)
    fastest, slowest = ({name: each[end] for name, each in seconds.items()} for end in (0, 1))
    ends = (wall_seconds(draft.tasks, each, context.throttle) for each in (fastest, slowest))
    names = dict.fromkeys(estimator.device(stage).name for stage, _ in missing if "model" in stage.template)
    measured = sum(count for stage, count in missing if estimator.is_measured(stage))
    return Price(
        device=", ".join(names) or "cpu",
        gpu_hours=gpu,
        cpu_hours=cpu,
        wall_hours=Range(*ends).over(3600),
        download_bytes=_download(missing, estimator),
        disk_bytes=total(
            [_disk(draft, stage, estimator).times(count) for stage, count in missing] + [_scratch(missing, estimator)]
        ),
        measured=measured / max(1, sum(count for _, count in missing)),
    )


def check_budget(price: Price, max_gpu_hours: float) -> None:
    """Raises SpecError when the price may be above a limit: its upper end counts; without a GPU its CPU hours."""
    hours, noun = (price.gpu_hours, "GPU hours") if price.gpu_hours.high else (price.cpu_hours, "CPU hours")
    if hours.high > max_gpu_hours:
        what = f"the plan may take {span(hours)} {noun} on {price.device}, the limit is {max_gpu_hours:g}"
        hint = "give: a higher --max-gpu-hours, or --select a part of the study"
        raise SpecError([Diagnostic("TG205", "error", what, None, "", hint)])


def seconds_by_sort(draft: Draft, context: Context) -> dict[str, float]:
    """What a missing job of each sort (`sort_of`: 'train', 'assess lm_eval') takes, in the middle of its range. [s]"""
    estimator, sums = Estimator(draft, context), dict[str, tuple[float, int]]()
    for stage, count in draft.missing_by_stage:
        seconds, jobs = sums.get(sort := sort_of(stage.kind, shared_json(stage)), (0.0, 0))
        sums[sort] = seconds + count * estimator.seconds(stage).middle, jobs + count
    return {sort: seconds / jobs for sort, (seconds, jobs) in sums.items()}


def task_seconds(draft: Draft, task: TaskDraft, estimator: Estimator) -> Range:
    """Seconds from the start of a task's process to its end."""
    counts = Counter(map(draft.stage_of, task.rows))
    jobs = [estimator.seconds(draft.stages[index]).times(count) for index, count in counts.items()]
    return total(jobs).plus(estimator.loading(draft.stages[max(counts)]))


def _hours(draft: Draft, seconds: Mapping[str, Range], estimator: Estimator) -> tuple[Range, Range]:
    """Hours of accelerators, and hours of tasks that need none."""
    gpu, cpu = [], []
    for task in draft.tasks:
        devices = max(estimator.devices(draft.locate(row)[0]) for row in (task.rows[0], task.rows[-1]))
        hours = seconds[task.id].over(3600)
        gpu.append(hours.times(devices))
        cpu.append(hours if devices == 0 else NOTHING)
    return total(gpu), total(cpu)


def wall_seconds(tasks: tuple[TaskDraft, ...], seconds: dict[str, float], throttle: int | None) -> float:
    """When the last task ends if each starts as soon as its inputs and one of `throttle` slots are there. [s]"""
    ends: dict[str, float] = {}
    slots = [0.0] * min(throttle or len(tasks), len(tasks))
    for task in tasks:
        ready = max((ends[other] for other in task.after), default=0.0)
        start = max(ready, heappop(slots))
        ends[task.id] = start + seconds[task.id]
        heappush(slots, ends[task.id])
    return max(ends.values(), default=0.0)


def _download(missing: list[tuple[Stage, int]], estimator: Estimator) -> Range:
    models = {
        encode(model): estimator.size(model).high * 2
        for stage, _ in missing
        for model in distinct_models(stage)
        if isinstance(model, HubModel)
    }
    return Range(0.0, sum(models.values()))


PER_RANK = Range(15, 45)
"""Weights of an adapter on all linear layers, by its rank and the square root of the base's weights.

26 for a Llama of 135 M weights, 29 for Llama 3 8B, 49 for 70B, counted from their configurations.
"""

TEXT = Range(1, 4)
"""Of a token that is read, the options of a question sharing its text. [bytes]"""
RECORDS = Range(2e3, 4e5)
"""Answers, metrics and the manifest of one job. [bytes]"""


def _disk(draft: Draft, stage: Stage, estimator: Estimator) -> Range:
    """Bytes that one job of a stage leaves in the store."""
    weights = estimator.weights(stage)
    training = stage.template.get("training")
    if stage.kind == "prepare":
        return weights.times(4)
    if isinstance(training, Training):
        return adapter_bytes(training.lora, weights).plus(RECORDS)
    if stage.kind == "vector":
        return adapter_bytes(_lora_behind(draft, stage), weights)
    if stage.kind == "merge" and stage.template.get("keep") == "weights":
        return weights.times(Range(2, 4))
    if getattr(stage.template.get("benchmark"), "kind", None) == "lm_eval":  # its prompts are kept, once a document
        return RECORDS.plus(work_of(stage, draft).read.times(TEXT))
    return RECORDS


def _lora_behind(draft: Draft, vector: Stage) -> Lora | None:
    """The adapter settings of the training that a vector comes from; None when every weight changes."""
    tuned = next((each.refs[0] for each in vector.inputs if each.name == "tuned"), None)
    training = None if tuned is None else draft.locate(tuned)[0].template.get("training")
    return training.lora if isinstance(training, Training) else None


def adapter_bytes(lora: Lora | None, weights: Range) -> Range:
    """Bytes of what training leaves: an adapter, or every weight."""
    if lora is None:
        return weights.times(Range(2, 4))
    root = Range(weights.low**0.5, weights.high**0.5)
    return root.times(PER_RANK).times(lora.rank).times(Range(2, 4))


def _scratch(missing: list[tuple[Stage, int]], estimator: Estimator) -> Range:
    """The widest checkpoint of one training: weights and the optimiser's two moments, removed at its end."""
    sizes = (
        adapter_bytes(training.lora, estimator.weights(stage)).times(3)
        for stage, _ in missing
        if isinstance(training := stage.template.get("training"), Training)
    )
    return max(sizes, key=lambda each: each.high, default=NOTHING)
