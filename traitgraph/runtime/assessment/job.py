"""The job `assess`: put one subject on the loaded base, administer one benchmark, write what it found."""

from __future__ import annotations

from traitgraph.specs.jobs import AssessParams

from ..context import JobContext
from ..models import open_model
from ..subjects import subject
from .administer import administer
from .layer_similarity import remember_base
from .measurement import write_measurement


def assess(context: JobContext, params: AssessParams) -> None:
    """Measure one subject with one benchmark.

    reads   model?, tuned? or merge?    what makes the subject
    writes  answers.jsonl               one raw row per reply, item or document
            metrics.jsonl               metric, repeat, value, stderr, n, role
    """
    loaded = open_model(context, params.model)
    remember_base(context, loaded, params)
    with subject(context, loaded, params):
        measurement = administer(context, loaded, params)
    write_measurement(context.out, measurement)
