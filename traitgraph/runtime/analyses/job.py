"""The job `analyse`: compare what other jobs made, and write the figures as an assessment does."""

from __future__ import annotations

from typing import Any

from traitgraph.runtime.assessment.measurement import Measurement, write_measurement
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.vectors.vectors import load_vector
from traitgraph.specs.jobs.params import AnalyseParams, PluginAnalysis, VectorSimilarity
from traitgraph.specs.study.analyses import ANALYSES
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .correlation import mean_scores, read_reference, trait_correlation
from .similarity import vector_similarity


def analyse(context: JobContext, params: AnalyseParams) -> None:
    """Compare vectors, or measured scores.

    reads   vectors | assess
    writes  answers.jsonl (one row for each pair or condition), metrics.jsonl
    raises  ValueError for a reference that is no matrix of correlations between all traits
    """
    measurement: Measurement
    if isinstance(params.analysis, PluginAnalysis):
        kind, names = params.analysis.analysis, params.conditions or ()
        own: Any = ANALYSES.get(kind).model_validate({**params.analysis.options, "kind": kind})
        scores = [mean_scores(folder) for folder in context.inputs["assess"]]
        measurement = own.compare(dict(zip(names, scores, strict=True)))
    elif isinstance(params.analysis, VectorSimilarity):
        vectors = [load_vector(folder) for folder in context.inputs["vectors"]]
        names = params.conditions or context.row.inputs["vectors"]
        measurement = vector_similarity(vectors, names, by_layer=params.analysis.scope == "layer")
    else:
        # The inputs have no order of their own; a draw of shuffles needs one.
        traits = params.analysis.traits or BIG_FIVE.whole_traits
        folders = sorted(zip(context.row.inputs["assess"], context.inputs["assess"], strict=True))
        reference = read_reference(verified(context.locations, params.analysis.reference), traits)
        of_traits = {key: mean_scores(folder, traits) for key, folder in folders}
        measurement = trait_correlation(of_traits, traits, reference, params.analysis.shuffles)
    write_measurement(context.out, measurement)
