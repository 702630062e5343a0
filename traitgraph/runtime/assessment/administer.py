"""Administer one benchmark to the model as it stands: the one place that knows which benchmark runs where."""

from __future__ import annotations

from traitgraph.specs.benchmarks import (
    ResolvedLayerSimilarity,
    ResolvedLinguistic,
    ResolvedLmEval,
    ResolvedOpenQuestions,
    ResolvedPlugin,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
    ResolvedStory,
)
from traitgraph.specs.jobs import AssessParams

from ..context import JobContext
from ..models import LoadedModel
from ..quiet import quiet_libraries
from .measurement import Measurement
from .supported import MEASURES, lacking_benchmark


def administer(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Measurement:
    """What the benchmark of the parameters finds about the model as it stands now."""
    with quiet_libraries():
        match params.benchmark:
            case ResolvedReplyContrast() as benchmark:
                from .reply_contrast import measure_reply_contrast

                return measure_reply_contrast(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="generate") as benchmark:
                from .questionnaire_written import measure_written_questionnaire

                return measure_written_questionnaire(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="choice") as benchmark:
                from .questionnaire import measure_questionnaire

                return measure_questionnaire(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="interview") as benchmark:
                from .interview import measure_interview

                return measure_interview(context, loaded, params, benchmark)
            case ResolvedOpenQuestions() as benchmark:
                from .open_questions import measure_open_questions

                return measure_open_questions(context, loaded, params, benchmark)
            case ResolvedLmEval() as benchmark:
                from .lm_eval_task import measure_lm_eval

                return measure_lm_eval(context, loaded, params, benchmark)
            case ResolvedLinguistic() | ResolvedStory() as benchmark:
                from .word_categories import measure_word_categories

                return measure_word_categories(context, loaded, params, benchmark)
            case ResolvedLayerSimilarity() as benchmark:
                from .layer_similarity import measure_layer_similarity

                return measure_layer_similarity(context, loaded, params, benchmark)
            case ResolvedPlugin() as benchmark if benchmark.benchmark in MEASURES.names():
                return MEASURES.get(benchmark.benchmark)(context, loaded, params, benchmark)
    raise NotImplementedError(f"{lacking_benchmark(params.benchmark)} cannot be run by this version")
