"""Run a task of lm-evaluation-harness on the loaded model, as it stands.

Prompts are built once a task and rendering, and asked again of every subject: worked examples are drawn once, so that
all subjects read the same prompts, and most of the harness's own time is spent once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from traitgraph.specs.benchmarks import ResolvedLmEval
from traitgraph.specs.identity import digest
from traitgraph.specs.jobs import AssessParams

from ..context import JobContext
from ..leads import lead_of
from ..models import LoadedModel
from .lm_eval_model import harness_model
from .lm_eval_requests import FrozenTask, Rendering, frozen_tasks
from .measurement import Measurement, Metric, mean, standard_error

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

Row = dict[str, object]
NO_ANSWER = ("", "[invalid]")
"""What the harness's filters leave of a generated answer in which they find nothing."""


def measure_lm_eval(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedLmEval
) -> Measurement:
    """The task's own metrics, `<metric>` or, for a named filter, `<metric>.<filter>`; a group adds `<task>.<metric>`.

    All subjects read one rendering: the chat template with the prompt as system message, or plain text that begins with
    the prompt. Mixed, a prompt's effect would be confounded with that of the rendering. `failures` is the share of
    answers that were no number or in which nothing was found, `chance` what guessing would score on a multiple-choice
    task.
    """
    model: HFLM = context.session.get(("lm_eval", id(loaded)), lambda: harness_model(loaded))
    model.on_batch = lambda done, total: context.progress(done, total, "prompts scored")
    rendering = Rendering(benchmark, lead_of(context, params.prompt))
    key = ("lm_eval tasks", id(loaded), rendering)
    tasks = context.session.get(key, lambda: frozen_tasks(context.locations, model, rendering))
    rows = [row for task in tasks for row in _answered(task, model)]
    return Measurement(rows, _metrics(tasks, rows, benchmark.task))


def _answered(task: FrozenTask, model: HFLM) -> Iterable[Row]:
    """One row a document and filter, as the harness's `evaluate` would log it."""
    task.ask(model)
    for filter_name in task.filters():
        for document in task.documents:
            answers = document.answers(filter_name)
            values = task.task.process_results(document.doc, answers)
            yield {
                "task": task.name,
                "document": document.number,
                "filter": filter_name,
                "prompt": digest("prompt", document.prompt),
                "target": _plain(task.task.doc_to_target(document.doc)),
                "answers": _plain(answers),
                "values": _plain(values),
            }


def _metrics(tasks: list[FrozenTask], rows: list[Row], name: str) -> list[Metric]:
    found = [
        metric for task in tasks for metric in _task_metrics(task, [row for row in rows if row["task"] == task.name])
    ]
    if len(tasks) == 1:
        return [metric for _, metric in found]
    pooled = [_pooled([metric for _, metric in found if metric.metric == kind]) for kind in _kinds(found)]
    return pooled + [metric._replace(metric=f"{task}.{metric.metric}") for task, metric in found]


def _kinds(found: list[tuple[str, Metric]]) -> list[str]:
    return list(dict.fromkeys(metric.metric for _, metric in found))


def _pooled(parts: list[Metric]) -> Metric:
    """One metric over the tasks of a group, each weighted by its number of documents."""
    total = sum(part.n for part in parts)
    values = [(part.value, part.n) for part in parts if part.value is not None]
    value = math.fsum(value * n for value, n in values) / total if len(values) == len(parts) else None
    errors = [(part.stderr, part.n) for part in parts if part.stderr is not None]
    stderr = (
        math.sqrt(math.fsum((error * n) ** 2 for error, n in errors)) / total if len(errors) == len(parts) else None
    )
    return Metric(parts[0].metric, value, total, stderr, role=parts[0].role)


def _task_metrics(task: FrozenTask, rows: list[Row]) -> list[tuple[str, Metric]]:
    """Each with the task's name.

    What the task does not say how to aggregate is averaged, as the harness does. Only means have a standard error: that
    of the values behind a perplexity, an F1 or a correlation is not that of the figure.
    """
    from lm_eval.api.registry import get_aggregation

    aggregation, mean_of_all = task.task.aggregation(), get_aggregation("mean")
    metrics = []
    for filter_name in task.filters():
        chosen = [row for row in rows if row["filter"] == filter_name]
        for kind in dict.fromkeys(kind for row in chosen for kind in _values(row)):
            values = [_values(row)[kind] for row in chosen if kind in _values(row)]
            name = kind if filter_name == "none" else f"{kind}.{filter_name}"
            aggregate = aggregation.get(kind, mean_of_all)
            stderr = standard_error(values) if aggregate is mean_of_all else None
            metrics.append(Metric(name, float(aggregate(values)), len(values), stderr))
    failed = [1.0 if _failed(row["answers"]) else 0.0 for row in rows]
    metrics.append(Metric("failures", mean(failed), len(failed), role="validity"))
    if chances := [1 / count for document in task.documents if (count := _options(task, document.doc))]:
        metrics.append(Metric("chance", mean(chances), len(chances), role="validity"))
    return [(task.name, metric) for metric in metrics]


def _options(task: FrozenTask, doc: Any) -> int:
    """How many options a guess chooses from; 0 for free answers and for tasks with scoring rules of their own."""
    if task.task.OUTPUT_TYPE != "multiple_choice" or callable(task.task.config.process_results):
        return 0
    return len(task.task.doc_to_choice(doc))


def _values(row: Row) -> Mapping[str, Any]:
    values = row["values"]
    assert isinstance(values, dict), "process_results gives a mapping of metrics"
    return values


def _failed(answers: object) -> bool:
    """Whether any answer is no number (a log-likelihood gone wrong) or no text (nothing found in what was written)."""
    match answers:
        case None:
            return True
        case str():
            return answers.strip() in NO_ANSWER
        case list() | tuple():
            return any(_failed(answer) for answer in answers)
    return False


def _plain(value: Any) -> Any:
    """The value as JSON holds it: numpy scalars as numbers, what is no number as None, unknown objects as text."""
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else json.loads(json.dumps(str(value)))
