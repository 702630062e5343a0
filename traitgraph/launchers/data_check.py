"""Read local data before anything runs: a missing level is found in a second, not after loading a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir import MISSING, Stage
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.assessment.lexicon import read_lexicon
from traitgraph.runtime.assessment.questionnaire_file import read_questionnaire
from traitgraph.runtime.data_files import DataError, fault_at
from traitgraph.runtime.dialogues import (
    Dialogue,
    DialogueError,
    joint_rows,
    read_dialogues,
    read_questions,
    read_scenarios,
    reply_pairs,
    spread_rows,
    training_rows,
)
from traitgraph.runtime.locations import locate
from traitgraph.specs.benchmarks import (
    ResolvedLayerSimilarity,
    ResolvedLinguistic,
    ResolvedOpenQuestions,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
    ResolvedStory,
)
from traitgraph.specs.diagnostics import Diagnostic
from traitgraph.specs.jobs import FileData
from traitgraph.specs.study import Study
from traitgraph.specs.traits import LEVELS, TRAITS

from .runnable import thin_arms

SMALL = 32 << 20
"""Files that a check reads, in bytes: some hundred thousand dialogues, in about a second."""

Read = dict[object, "list[Any] | tuple[Diagnostic, ...]"]
"""File and names of its fields -> its rows, or what is wrong with it."""


def data_faults(plan: Plan, whole: bool = True) -> list[Diagnostic]:
    """What is wrong with the local files that missing jobs read, or only with the small ones; each fault once."""
    files: Read = {}
    faults: dict[Diagnostic, None] = {}
    draft = plan.draft
    locations = draft.locations if whole else _small(draft.locations)
    for index, stage in enumerate(draft.stages):
        if MISSING in draft.status[draft.offsets[index] : draft.offsets[index + 1]]:
            faults |= dict.fromkeys(_faults_of(stage, locations, files))
    return list(faults)


def study_data_faults(study: Study) -> list[Diagnostic]:
    """What is wrong with the small local files that a study reads, whatever a store holds; each fault once."""
    files: Read = {}
    faults: dict[Diagnostic, None] = {}
    for _, builder in thin_arms(study):
        locations = _small(builder.resolver.locations)
        for stage in builder.stages:
            faults |= dict.fromkeys(_faults_of(stage, locations, files))
    return list(faults)


def _small(locations: Mapping[str, str]) -> dict[str, str]:
    return {digest: where for digest, where in locations.items() if _is_small(where)}


def _is_small(location: str) -> bool:
    try:
        return Path(location).stat().st_size <= SMALL
    except OSError:
        return False


def _faults_of(stage: Stage, locations: Mapping[str, str], files: Read) -> Iterator[Diagnostic]:
    yield from _faults_of_file(stage.template.get("benchmark"), locations, files)
    data = _data_of(stage)
    if not isinstance(data, FileData) or data.digest not in locations:
        return
    path = Path(locations[data.digest])
    reader = _reader(stage)
    place = (reader, data.digest, tuple(sorted(data.fields.items())))
    if place not in files:
        files[place] = _read(partial(reader, path, data.fields), path)
    rows = files[place]
    if isinstance(rows, tuple):
        yield from rows
        return
    for check in _checks(stage, rows):
        try:
            check()
        except DialogueError as fault:
            yield fault_at(path, None, str(fault))


def _faults_of_file(benchmark: object, locations: Mapping[str, str], files: Read) -> Iterable[Diagnostic]:
    """What is wrong with the items or words that a benchmark asks for or counts."""
    match benchmark:
        case ResolvedQuestionnaire(items=digest):
            reader: Callable[[Path], Collection[object]] = _items
        case ResolvedLinguistic(lexicon=digest) | ResolvedStory(lexicon=digest):
            reader = read_lexicon
        case _:
            return ()
    if digest not in locations:
        return ()
    if (reader, digest) not in files:
        path = locate(locations[digest])
        files[reader, digest] = _read(partial(reader, path), path)
    found = files[reader, digest]
    return found if isinstance(found, tuple) else ()


def _items(path: Path) -> Collection[object]:
    return read_questionnaire(path).items


def _data_of(stage: Stage) -> object:
    """The rows that the jobs of a stage read, where they need some of a kind."""
    template: Any = stage.template
    match template.get("benchmark"):
        case ResolvedReplyContrast() | ResolvedLayerSimilarity() as benchmark:
            return benchmark.data
        case ResolvedOpenQuestions() as benchmark:
            return benchmark.questions
    if stage.kind in ("train", "train_joint", "activations", "neurons"):
        return template["data"]
    return template["scenarios"] if stage.kind == "generate" else None


def _reader(stage: Stage) -> Callable[..., list[Any]]:
    if isinstance(stage.template.get("benchmark"), ResolvedOpenQuestions):
        return read_questions
    return read_scenarios if stage.kind in ("generate", "neurons") else read_dialogues


def _checks(stage: Stage, rows: list[Dialogue]) -> Iterable[Callable[[], object]]:
    """What must go well with the rows; each raises DialogueError."""
    match stage.kind:
        case "train":
            conditions: Any = dict.fromkeys(zip(stage.table["trait"], stage.table["level"], strict=True))
            return [partial(training_rows, rows, *condition) for condition in conditions]
        case "train_joint":
            there = [trait for trait in TRAITS if any(row.trait == trait for row in rows)]
            traits: Any = dict.fromkeys(stage.table["trait"])
            return [partial(joint_rows, rows, [trait] if trait else there) for trait in traits]
        case "activations":
            measured: Any = dict.fromkeys(stage.table["trait"])
            return [partial(training_rows, rows, trait, level) for trait in measured for level in LEVELS]
        case "assess":
            benchmark: Any = stage.template["benchmark"]
            if isinstance(benchmark, ResolvedLayerSimilarity):
                return [partial(spread_rows, rows, 1)]
            if isinstance(benchmark, ResolvedOpenQuestions):
                return [partial(_some, rows)]
            return [partial(reply_pairs, rows, trait, "heldout") for trait in benchmark.traits]
    return ()


def _some(rows: list[Any]) -> None:
    if not rows:
        raise DialogueError("the open questions have no rows")


def _read(reader: Callable[[], Collection[Any]], path: Path) -> list[Any] | tuple[Diagnostic, ...]:
    try:
        return list(reader())
    except DataError as problem:
        return problem.faults
    except OSError as problem:
        return (fault_at(path, None, f"cannot be read: {problem.strerror or type(problem).__name__}"),)
