"""Read local data before anything runs: a missing level is found in a second, not after loading a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from traitgraph.compiler.ir import MISSING, Stage
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.assessment.lexicon import read_lexicon
from traitgraph.runtime.assessment.questionnaire_file import read_questionnaire
from traitgraph.runtime.data_files import DataError, fault_at
from traitgraph.runtime.dialogues import (
    Dialogue,
    DialogueError,
    joint_rows,
    read_asked,
    read_dialogues,
    read_questions,
    read_scenarios,
    reply_pairs,
    spread_rows,
    training_rows,
    trait_prompts,
)
from traitgraph.runtime.leads import replies_to_show
from traitgraph.runtime.locations import locate
from traitgraph.specs.benchmarks import (
    ResolvedLayerSimilarity,
    ResolvedLinguistic,
    ResolvedLmEval,
    ResolvedOpenQuestions,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
    ResolvedStory,
)
from traitgraph.specs.diagnostics import Diagnostic
from traitgraph.specs.jobs import Demonstrations, FileData
from traitgraph.specs.study import Study
from traitgraph.specs.task_folder import TaskFolder
from traitgraph.specs.training import DpoTraining
from traitgraph.specs.traits import LEVELS, TRAITS, Trait

from .runnable import thin_arms

SMALL = 32 << 20
"""Files that a check reads, in bytes: some hundred thousand dialogues, in about a second."""

Read = dict[object, "list[Any] | tuple[Diagnostic, ...]"]
"""File and names of its fields -> its rows, or what is wrong with it."""

Check = Callable[[], object]
"""Something that raises DialogueError for rows that lack what a job needs."""


class Need(NamedTuple):
    """Rows that jobs read: where they lie, who reads them, and what must go well with them."""

    data: object
    reader: Callable[..., list[Any]]
    checks: Callable[[list[Any]], list[Check]]


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
    for need in _needs(stage):
        yield from _faults_of_rows(need, locations, files)


def _faults_of_rows(need: Need, locations: Mapping[str, str], files: Read) -> Iterable[Diagnostic]:
    data = need.data
    if not isinstance(data, FileData) or data.digest not in locations:
        return ()
    path = Path(locations[data.digest])
    place = (need.reader, data.digest, tuple(sorted(data.fields.items())))
    if place not in files:
        files[place] = _read(partial(need.reader, path, data.fields), path)
    rows = files[place]
    if isinstance(rows, tuple):
        return rows
    return [fault_at(path, None, told) for check in need.checks(rows) if (told := _refusal(check))]


def _refusal(check: Check) -> str | None:
    try:
        check()
    except DialogueError as fault:
        return str(fault)
    return None


def _faults_of_file(benchmark: object, locations: Mapping[str, str], files: Read) -> Iterable[Diagnostic]:
    """What is wrong with the items or words that a benchmark asks for or counts."""
    match benchmark:
        case ResolvedQuestionnaire(items=digest):
            reader: Callable[[Path], Collection[object]] = _items
        case ResolvedLinguistic(lexicon=digest) | ResolvedStory(lexicon=digest):
            reader = read_lexicon
        case ResolvedLmEval(task=task, definition=str() as folder, shots=shots) if folder in locations:
            return TaskFolder(Path(locations[folder])).faults_of(task, shots)
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


# ---------------------------------------------------------------- what the jobs of a stage need


def _needs(stage: Stage) -> Iterator[Need]:
    """The rows that the jobs of a stage read, with what must go well with them."""
    template: Any = stage.template
    match stage.kind:
        case "train" | "train_joint":
            yield Need(template["data"], read_dialogues, partial(_trained, stage))
        case "activations":
            yield Need(template["data"], read_dialogues, partial(_contrasted, _values(stage, "trait")))
        case "neurons":
            traits = _values(stage, "trait")
            yield Need(template["data"], read_asked, lambda rows: [partial(trait_prompts, rows, t) for t in traits])
        case "generate":
            yield Need(template["scenarios"], read_scenarios, lambda rows: [partial(_some, rows, "scenarios")])
        case "assess":
            yield from _of_benchmark(template["benchmark"])
            for prompt in _values(stage, "prompt"):
                if prompt and prompt.examples:
                    shown = prompt.examples
                    yield Need(shown.data, read_dialogues, partial(_shown, shown))


def _of_benchmark(benchmark: object) -> Iterator[Need]:
    match benchmark:
        case ResolvedReplyContrast(data=data, traits=traits):
            yield Need(data, read_dialogues, lambda rows: [partial(reply_pairs, rows, t, "heldout") for t in traits])
        case ResolvedLayerSimilarity(data=data):
            yield Need(data, read_dialogues, lambda rows: [partial(spread_rows, rows, 1)])
        case ResolvedOpenQuestions(questions=data):
            yield Need(data, read_questions, lambda rows: [partial(_some, rows, "open questions")])


def _trained(stage: Stage, rows: list[Dialogue]) -> list[Check]:
    template: Any = stage.template
    there = [trait for trait in TRAITS if any(row.trait == trait and row.split == "train" for row in rows)]
    models = [[trait] if trait else there for trait in _values(stage, "trait") or (None,)]  # None: one for all traits
    if isinstance(template["training"], DpoTraining):
        return [partial(reply_pairs, rows, trait, "train") for traits in models for trait in traits]
    if stage.kind == "train_joint":
        return [partial(joint_rows, rows, traits) for traits in models]
    conditions: Any = dict.fromkeys(zip(stage.table["trait"], stage.table["level"], strict=True))
    return [partial(training_rows, rows, *condition) for condition in conditions]


def _contrasted(traits: Iterable[Trait], rows: list[Dialogue]) -> list[Check]:
    return [partial(training_rows, rows, trait, level) for trait in traits for level in LEVELS]


def _shown(wanted: Demonstrations, rows: list[Dialogue]) -> list[Check]:
    return [partial(replies_to_show, rows, wanted)]


def _some(rows: list[Any], what: str) -> None:
    if not rows:
        raise DialogueError(f"the {what} have no rows")


def _values(stage: Stage, name: str) -> tuple[Any, ...]:
    """The distinct values of a row field; none where the stage has no such field."""
    if name not in stage.table:
        return ()
    column = stage.table[name]
    return tuple(column.values[code] for code in dict.fromkeys(column.codes))


def _read(reader: Callable[[], Collection[Any]], path: Path) -> list[Any] | tuple[Diagnostic, ...]:
    try:
        return list(reader())
    except DataError as problem:
        return problem.faults
    except OSError as problem:
        return (fault_at(path, None, f"cannot be read: {problem.strerror or type(problem).__name__}"),)
