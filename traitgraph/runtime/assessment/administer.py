"""What of the language this version can assess: asked by a run before it starts, and once more by each job."""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.quiet import quiet_libraries
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.jobs.benchmarks import (
    ResolvedBenchmark,
    ResolvedLayerSimilarity,
    ResolvedLinguistic,
    ResolvedLmEval,
    ResolvedOpenQuestions,
    ResolvedPlugin,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
    ResolvedStory,
)
from traitgraph.specs.jobs.params import AssessParams

from .measurement import Measurement


def administer(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Measurement:
    """What the benchmark of the parameters finds about the model as it stands now."""
    with quiet_libraries():
        match params.benchmark:
            case ResolvedReplyContrast() as benchmark:
                from .reply_contrast import measure_reply_contrast

                return measure_reply_contrast(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="generate") as benchmark:
                from traitgraph.runtime.assessment.questionnaires.written import measure_written_questionnaire

                return measure_written_questionnaire(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="choice") as benchmark:
                from traitgraph.runtime.assessment.questionnaires.likelihood import measure_questionnaire

                return measure_questionnaire(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="interview") as benchmark:
                from traitgraph.runtime.assessment.judged.interview import measure_interview

                return measure_interview(context, loaded, params, benchmark)
            case ResolvedOpenQuestions() as benchmark:
                from traitgraph.runtime.assessment.judged.open_questions import measure_open_questions

                return measure_open_questions(context, loaded, params, benchmark)
            case ResolvedLmEval() as benchmark:
                from traitgraph.runtime.assessment.harness.task import measure_lm_eval

                return measure_lm_eval(context, loaded, params, benchmark)
            case ResolvedLinguistic() | ResolvedStory() as benchmark:
                from traitgraph.runtime.assessment.texts.word_categories import measure_word_categories

                return measure_word_categories(context, loaded, params, benchmark)
            case ResolvedLayerSimilarity() as benchmark:
                from .layer_similarity import measure_layer_similarity

                return measure_layer_similarity(context, loaded, params, benchmark)
            case ResolvedPlugin() as benchmark if benchmark.benchmark in MEASURES.names():
                return MEASURES.get(benchmark.benchmark)(context, loaded, params, benchmark)
    raise NotImplementedError(f"{lacking_benchmark(params.benchmark)} cannot be run by this version")


Measure = Callable[[JobContext, "LoadedModel", AssessParams, ResolvedPlugin], Measurement]

MEASURES: Registry[Measure] = Registry("function of a benchmark", "traitgraph.measures", {})
"""Benchmarks of other packages: kind -> the function that measures the model as it stands."""


def lacking_benchmark(benchmark: ResolvedBenchmark) -> str | None:
    """Why a benchmark cannot be run, as a short phrase; None when it can."""
    if isinstance(benchmark, ResolvedPlugin) and benchmark.benchmark not in MEASURES.names():
        return f"benchmark '{benchmark.benchmark}', for which no package gives a function (`{MEASURES.group}`)"
    return None


# JOINED: Administer one benchmark to the model as it stands: the one place that knows which benchmark runs where.
