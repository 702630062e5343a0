"""The job `assess`: put one subject on the loaded base, measure it with one benchmark, write what was found.

The function that measures is named by the benchmark's written form, as text, and imported when it is called.
"""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.process import quiet_libraries
from traitgraph.runtime.models.chat import PromptMessage, as_heard, messages
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.specs.fields.registry import Registry, imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark, written_form

from .layer_similarity import remember_base
from .measurement import Measurement, Metric, write_measurement

BenchmarkFunction = Callable[[JobContext, LoadedModel, AssessParams, ResolvedBenchmark], Measurement]

FUNCTIONS: Registry[BenchmarkFunction] = Registry("function of a benchmark", "traitgraph.measures", {})
"""Functions of packages whose benchmark names none itself, by its kind."""


def assess(context: JobContext, params: AssessParams) -> None:
    """Measure one subject with one benchmark.

    reads   model?, tuned? or merge?    what makes the subject
    writes  answers.jsonl               one raw row per reply, item or document
            metrics.jsonl               metric, repeat, value, stderr, n, role
    raises  ValueError for other repeats than the spec asks for
    """
    loaded = open_model(context, params.model)
    remember_base(context, loaded, params)
    with subject(context, loaded, params):
        measurement = run_benchmark(context, loaded, params)
    if _stands_with_user(loaded, params):
        measurement.metrics.append(Metric("system_as_user", 1.0, len(measurement.answers), role="validity"))
    _check_repeats(measurement, params)
    write_measurement(context.out, measurement)


def run_benchmark(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Measurement:
    """What the benchmark of the parameters finds about the model as it stands now."""
    benchmark = params.benchmark
    if lack := lacking_benchmark(benchmark):
        raise NotImplementedError(f"{lack} cannot be run by this version")
    named = written_form(benchmark.written).function
    function: BenchmarkFunction = imported(named) if named else FUNCTIONS.get(benchmark.written)
    with quiet_libraries():
        return function(context, loaded, params, benchmark)


def lacking_benchmark(benchmark: ResolvedBenchmark) -> str | None:
    """Why a benchmark cannot be run, as a short phrase; None when it can."""
    name = benchmark.written
    if written_form(name).function or name in FUNCTIONS.names():
        return None
    return f"benchmark '{name}', for which no package gives a function (`{FUNCTIONS.group}`)"


def _check_repeats(measurement: Measurement, params: AssessParams) -> None:
    """Refuse a score that was not measured as often as the spec asks: its n would be another than the study's."""
    found: dict[str, set[int]] = {}
    for metric in measurement.metrics:
        if metric.repeat is not None:
            found.setdefault(metric.metric, set()).add(metric.repeat)
    asked = params.sampling.repeats if params.sampling else 0
    odd = [f"{name} in {len(repeats)}" for name, repeats in found.items() if asked and repeats != {*range(asked)}]
    if odd:
        raise ValueError(f"the spec asks for {asked} repeats, and the benchmark measured {', '.join(odd)}")


def _stands_with_user(loaded: LoadedModel, params: AssessParams) -> bool:
    """Whether the subject's system message went into the user's, because the chat template has no place for it."""
    plain = not loaded.tokenizer.chat_template or not getattr(params.benchmark, "chat_template", True)
    if params.prompt is None or plain or not (system := PromptMessage.of(params.prompt).system):
        return False
    asked = messages("?", PromptMessage(system))
    return as_heard(loaded.tokenizer, asked) != asked
