"""What every mode of a questionnaire shares: its items, how it is found, and scores of answers on the scale."""

from __future__ import annotations

from collections.abc import Iterable

from traitgraph.runtime.assessment.measurement import Measurement, Metric, mean
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.benchmarks import MODES

from .file import read_questionnaire
from .items import Item, Questionnaire
from .scores import keyed_value


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """What the function of the questionnaire's mode finds."""
    measurement: Measurement = imported(MODES.get(benchmark.mode).function)(context, loaded, params, benchmark)
    return measurement


def items_of(context: JobContext, benchmark: ResolvedBenchmark) -> Questionnaire:
    """The questionnaire of a benchmark. Raises QuestionnaireError."""
    return read_questionnaire(verified(context.locations, benchmark.items))


def steps_of(questionnaire: Questionnaire, between: str) -> str:
    """The steps of the scale with their wording: '1 = very inaccurate, 2 = ...'."""
    scale = questionnaire.response_scale
    return between.join(f"{number} = {anchor}" for number, anchor in enumerate(scale.anchors, start=scale.min))


def domain_means(questionnaire: Questionnaire, answers: Iterable[tuple[Item, int, int | None]]) -> list[Metric]:
    """Means of each trait and repeat over the items with a usable answer (`n`), from item, repeat and answer."""
    found: dict[tuple[str, int], list[float]] = {}
    for item, repeat, answer in answers:
        values = found.setdefault((item.trait, repeat), [])
        if answer is not None:
            values.append(keyed_value(questionnaire, item, answer))
    return [Metric(trait, mean(values), len(values), repeat=repeat) for (trait, repeat), values in found.items()]
