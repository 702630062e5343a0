"""Give every subject its assessments: one job per subject and benchmark."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from traitgraph.specs.benchmarks import (
    ResolvedBenchmark,
    ResolvedLmEval,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
)
from traitgraph.specs.data import FileDataSpec
from traitgraph.specs.instruments import Instrument, LmEval, Questionnaire, ReplyContrast
from traitgraph.specs.traits import TRAITS

from .builder import LABELLED, Builder, Group, Made
from .ir import Input
from .resolve import Resolver


def assess(group: Group, made: Iterable[Made], instrument: Instrument, builder: Builder) -> list[tuple[int, int]]:
    """Pairs (subject of the group, row of its assessment) for one benchmark."""
    arm = group.arm
    template = {
        "model": group.model,
        "benchmark": resolve_benchmark(instrument, builder.resolver),
        "sampling": arm.sampling if instrument.draws else None,
    }
    pairs: list[tuple[int, int]] = []
    for each in made:
        inputs = group.model_input(len(each.places))
        if each.source is not None:
            inputs = (*inputs, Input(each.source, each.refs))
        where = group.where(LABELLED, each.places)
        rows = builder.add("assess", template, each.columns, inputs, where=where, name=instrument.name)
        pairs += zip(each.places, rows, strict=True)
    return pairs


def resolve_benchmark(instrument: Instrument, resolver: Resolver) -> ResolvedBenchmark:
    """The benchmark as a job carries it: names of files are replaced by digests of their content."""
    match instrument:
        case ReplyContrast():
            assert isinstance(instrument.data, FileDataSpec), "validation fills in the arm's data"
            data = resolver.file_data(instrument.data)
            traits = tuple(trait for trait in TRAITS if trait in instrument.traits)
            return ResolvedReplyContrast(data=data.digest, fields=data.fields, traits=traits)
        case Questionnaire():
            return ResolvedQuestionnaire(items=resolver.digest(instrument.items), mode=instrument.mode)
        case LmEval():
            definition = None if instrument.folder is None else resolver.digest(instrument.folder)
            return ResolvedLmEval(
                task=instrument.task, definition=definition, shots=instrument.shots, limit=instrument.limit
            )
    raise AssertionError(f"no job form for the benchmark {type(instrument).__name__}")


def spread(pairs: Iterable[tuple[int, int]], subjects: array[int], into: array[int]) -> None:
    """Write the row of each pair at its subject's place; `subjects` are the group's rows within the arm."""
    for place, row in pairs:
        into[subjects[place]] = row
