"""Analyses across subjects: one job for each group of subjects that differ in trait and level only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from traitgraph.compiler.ir.builder import Builder
from traitgraph.compiler.ir.dimensions import axis_columns
from traitgraph.compiler.ir.ir import ArmTable, Column, Comparison, Input, Table, row_ids
from traitgraph.specs.jobs.params import PluginAnalysis
from traitgraph.specs.jobs.params import TraitCorrelation as CorrelationParams
from traitgraph.specs.jobs.params import VectorSimilarity as SimilarityParams
from traitgraph.specs.source.diagnostics import SpecError, error
from traitgraph.specs.study.analyses import LayerSimilarity, TraitCorrelation, VectorSimilarity
from traitgraph.specs.study.benchmarks import Questionnaire
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.vocabulary import BIG_FIVE

VECTOR_COLUMNS = ("model", "data", "seed")
"""What all vectors of one comparison share."""


Scaled = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Subjects of an arm, and the row of a vector that each of them scales, be it by 0."""


def compare(arm: Arm, table: ArmTable, scaled: Scaled, builder: Builder) -> Iterator[Comparison]:
    """The comparisons that an arm asks for, once all its subjects are lowered."""
    for analysis in arm.analyses:
        match analysis:
            case VectorSimilarity():
                yield from _vectors(SimilarityParams(scope=analysis.scope), table, scaled, builder)
            case TraitCorrelation():
                reference = builder.resolver.digest(analysis.reference)
                whole = arm.vocabulary.whole_traits
                traits = None if whole == BIG_FIVE.whole_traits else whole
                params = CorrelationParams(reference=reference, shuffles=analysis.shuffles, traits=traits)
                several = sum(isinstance(each, TraitCorrelation) for each in arm.analyses) > 1
                against = f" {Path(analysis.reference).stem}" if several else ""
                for name in [each.name for each in arm.benchmarks if isinstance(each, Questionnaire)]:
                    title = f"trait_correlation {name}{against}"  # that tells reference matrices apart
                    yield from _of_scores(params, title, dict(table.assessments)[name], table, builder)
            case LayerSimilarity():
                pass  # taken of each subject, with the benchmarks
            case _ if hasattr(analysis, "compare"):
                own = PluginAnalysis(analysis=analysis.kind, options=analysis.model_dump(mode="json", exclude={"kind"}))
                for name, measured in table.assessments:
                    yield from _of_scores(own, f"{analysis.kind} {name}", measured, table, builder)
            case _:
                what = f"no package says what the analysis `{analysis.kind}` does (a method `compare` of its class)"
                raise SpecError([error("TG209", what, path=f"arms.{arm.name}.analyses")])


def _vectors(params: SimilarityParams, table: ArmTable, scaled: Scaled, builder: Builder) -> Iterator[Comparison]:
    """The vectors that some subjects scale, for each model, data set and seed, in the order of their names."""
    for _, subjects in table.subjects.split(VECTOR_COLUMNS):
        compared = set(subjects)
        pairs = (pair for several, rows in scaled for pair in zip(several, rows, strict=True))
        vectors = sorted({row for subject, row in pairs if subject in compared}, key=builder.name_of)
        names = tuple(map(builder.name_of, vectors))
        inputs = (Input("vectors", row_ids(vectors), width=len(vectors)),)
        row = _add("vector_similarity", params, inputs, builder, names)
        yield Comparison("vector_similarity", row, subjects[0], ("method", *VECTOR_COLUMNS))


def _of_scores(
    params: CorrelationParams | PluginAnalysis, title: str, measured: Sequence[int], table: ArmTable, builder: Builder
) -> Iterator[Comparison]:
    """One comparison for each group of subjects that differ in trait and level only; a plugin's knows their names."""
    axes = axis_columns(table.subjects).columns
    shared, told = ([name for name in each if name not in ("trait", "level")] for each in (table.names.columns, axes))
    for _, subjects in table.names.split(shared):
        rows, names = row_ids(dict.fromkeys(measured[subject] for subject in subjects)), None
        if isinstance(params, PluginAnalysis):
            rows = row_ids(sorted(rows, key=builder.name_of))
            names = tuple(map(builder.name_of, rows))
        inputs = (Input("assess", rows, width=len(rows), unordered=names is None),)
        row = _add(title, params, inputs, builder, names)
        yield Comparison(title, row, subjects[0], (*shared, *told))


def _add(
    name: str,
    params: SimilarityParams | CorrelationParams | PluginAnalysis,
    inputs: Sequence[Input],
    builder: Builder,
    conditions: tuple[str, ...] | None,
) -> int:
    column = {"conditions": Column((conditions,), row_ids((0,)))} if conditions else {}
    return builder.add("analyse", {"analysis": params}, Table(column, 1), inputs, name=name)[0]
