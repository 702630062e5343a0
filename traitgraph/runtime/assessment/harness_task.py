"""Run a task of lm-evaluation-harness on the loaded model, as it stands.

Prompts are built once a task and rendering, and asked again of every subject: worked examples are drawn once, so that
all subjects read the same prompts, and most of the harness's own time is spent once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_message_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.source.hashing import digest

from .harness_requests import FrozenTask, Rendering, TaskSet, filters_of, frozen_tasks, harness_model
from .measurement import Measurement, Metric, mean

if TYPE_CHECKING:
    from lm_eval.api.group import Group
    from lm_eval.models.huggingface import HFLM


Results = dict[str, Any]
Answered = tuple[dict[str, Any], Mapping[str, Any]]
NO_ANSWER = ("", "[invalid]")
"""What the harness's filters leave of a generated answer in which they find nothing."""


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """The task's own metrics, `<metric>` or, for a named filter, `<metric>.<filter>`; a group adds `<task>.<metric>`.

    All subjects read one rendering: the chat template with the prompt as system message, or plain text that begins with
    the prompt. Mixed, a prompt's effect would be confounded with that of the rendering. `failures` is the share of
    answers that were no number or in which nothing was found, `chance` what guessing would score on a multiple-choice
    task.
    """
    model: HFLM = context.session.get(("lm_eval", id(loaded)), lambda: harness_model(loaded))
    model.on_batch = lambda done, total: context.progress(done, total, "prompts scored")
    rendering = Rendering(benchmark, prompt_message_of(context, params.prompt))
    key = ("lm_eval tasks", id(loaded), rendering)
    found = context.session.get(key, lambda: frozen_tasks(context.locations, model, rendering))
    answered = {task.name: list(_answered(task, model)) for task in found.tasks}
    rows = [row for each in answered.values() for row, _ in each]
    return Measurement(rows, _metrics(found, answered, benchmark.task))


def _answered(task: FrozenTask, model: HFLM) -> Iterator[Answered]:
    """One row a document and filter, as the harness's `evaluate` would log it, and its values as the task gave them.

    What the model read and wrote stands in the first row of a document.
    """
    task.ask(model)
    with task.at_home():
        for number, filter_name in enumerate(filters_of(task.task)):
            for document in task.documents:
                answers = [request.filtered_resps[filter_name] for request in document.requests]
                values = task.task.process_results(document.doc, answers)
                row = {
                    "task": task.name,
                    "document": document.number,
                    "content": digest("document", json.dumps(_plain(document.doc), sort_keys=True)),
                    "filter": filter_name,
                    "prompt": digest("prompt", document.prompt),
                    "shots": task.shots,
                    "target": _plain(task.task.doc_to_target(document.doc)),
                    "answers": _plain(answers),
                    "values": _plain(values),
                }
                yield row | (_plain(document.asked()) if number == 0 else {}), values


def _metrics(found: TaskSet, answered: Mapping[str, list[Answered]], name: str) -> list[Metric]:
    """Those of the group that was asked for, of groups inside it, and of every task.

    A group aggregates as it defines, by the harness's own code; a tag, or a group without an aggregate, has none.
    """
    results = {task.name: _results(task, answered[task.name]) for task in found.tasks}
    checks = [list(_checks(task, answered[task.name])) for task in found.tasks]
    metrics = list[Metric]()
    for group in found.groups:
        metrics += _listed(group.aggregate(results), "" if group.name == name else f"{group.name}.", _directions(group))
    for task, of_task in zip(found.tasks, checks, strict=True):
        before = "" if task.name == name else f"{task.name}."
        own = _listed(results[task.name], before, task.task.higher_is_better())
        metrics += [*own, *(check._replace(metric=before + check.metric) for check in of_task)]
    if found.tasks[0].name != name:
        metrics += _pooled_checks(checks, next(iter(found.groups), None))
    return metrics


def _results(task: FrozenTask, answered: list[Answered]) -> Results:
    """What the harness calls the results of a task: 'metric,filter', with standard errors where it has a formula.

    What the task does not say how to aggregate is averaged, as the harness does. The harness draws the errors of the
    other figures (perplexity, F1, BLEU) by bootstrap; we give none.
    """
    from lm_eval.api import metrics
    from lm_eval.api.registry import get_aggregation

    values: dict[tuple[str, str], list[Any]] = {}
    for row, found in answered:
        if row["filter"] in task.filters:
            for kind, value in found.items():
                values.setdefault((kind, row["filter"]), []).append(value)
    results: Results = {"sample_len": max(map(len, values.values()), default=0), "sample_count": {}}
    with task.at_home():
        for (kind, filter_name), items in values.items():
            key, aggregate = f"{kind},{filter_name}", task.task.aggregation().get(kind, metrics.mean)
            known = aggregate in (metrics.mean, metrics.acc_all) and len(items) > 1
            results[key] = math.nan if aggregate is get_aggregation("bypass") else _number(aggregate, items)
            error = _number(metrics.stderr_for_metric(aggregate, 1), items) if known else math.nan
            results[f"{kind}_stderr,{filter_name}"] = "N/A" if math.isnan(error) else error
            results["sample_count"][key] = len(items)
    return results


def _number(aggregate: Callable[[list[Any]], Any], items: list[Any]) -> float:
    """The figure; NaN where the values cannot be aggregated so, or come to more than one number."""
    try:
        value = aggregate(items)
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan


def _listed(results: Results, before: str, directions: Mapping[str, bool | None]) -> Iterator[Metric]:
    """The metrics of the harness's results; `before` stands in front of their names."""
    from lm_eval.api.registry import is_higher_better

    for key, count in results.get("sample_count", {}).items():
        kind, _, filter_name = key.rpartition(",")
        value, error = float(results[key]), results[f"{kind}_stderr,{filter_name}"]
        reader = None if filter_name == "none" else filter_name
        yield Metric(
            before + (f"{kind}.{reader}" if reader else kind),
            None if math.isnan(value) else value,
            count,
            None if error == "N/A" else float(error),
            higher_is_better=directions.get(kind, is_higher_better(kind)),
            filter=reader,
        )


def _directions(group: Group) -> dict[str, bool | None]:
    """Metric -> whether more is better; None where its tasks disagree."""
    tasks = [task.higher_is_better() for task in group.get_all_tasks()]
    said = {kind: {each[kind] for each in tasks if kind in each} for each in tasks for kind in each}
    return {kind: next(iter(found)) if len(found) == 1 else None for kind, found in said.items()}


def _checks(task: FrozenTask, answered: list[Answered]) -> Iterator[Metric]:
    yield Metric.share("failures", (_failed(row["answers"]) for row, _ in answered if row["filter"] in task.filters))
    yield Metric("shots", float(task.shots), len(task.documents), role="validity")
    # Free answers cannot be guessed, and in a task with scoring rules of its own a guess is worth nobody knows what.
    if task.task.OUTPUT_TYPE == "multiple_choice" and not callable(task.task.config.process_results):
        counts = [len(task.task.doc_to_choice(document.doc)) for document in task.documents]
        if chances := [1 / count for count in counts if count]:
            yield Metric("chance", mean(chances), len(chances), role="validity")


def _pooled_checks(checks: list[list[Metric]], group: Group | None) -> Iterator[Metric]:
    """The share of failures over all tasks; what guessing scores where the group aggregates, weighted as it does."""
    from lm_eval.api.metrics import aggregate_subtask_metrics

    aggregates: list[Any] = (group.aggregate_metric_list if group else None) or []
    for name, wanted in (("failures", True), ("chance", bool(aggregates))):
        found = [check for each in checks for check in each if check.metric == name]
        if wanted and len(found) == len(checks):
            sizes, weighted = [check.n for check in found], name == "failures" or aggregates[0].weight_by_size
            value = aggregate_subtask_metrics([check.value for check in found], sizes, weighted)
            yield Metric(name, float(value), sum(sizes), role="validity")


def _failed(answers: object) -> bool:
    """Whether any answer is no number (a log-likelihood gone wrong) or no text (nothing found in what was written)."""
    if isinstance(answers, list | tuple):
        return any(map(_failed, answers))
    return answers is None or (isinstance(answers, str) and answers.strip() in NO_ANSWER)


def _plain(value: Any) -> Any:
    """The value as JSON holds it: arrays as lists, what is no number as None, unknown objects as text."""
    if hasattr(value, "tolist"):  # numpy and torch, of any number of elements
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=str)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
