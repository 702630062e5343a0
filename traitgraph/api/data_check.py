"""Read local data before anything runs: a missing level is found in a second, not after loading a model."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain, product
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir.ir import Stage
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.analyses.correlation import read_reference
from traitgraph.runtime.assessment.questionnaires.item_file import questionnaire_for, translation_of
from traitgraph.runtime.assessment.questionnaires.items import Questionnaire
from traitgraph.runtime.assessment.questionnaires.items import Words as ItemWords
from traitgraph.runtime.assessment.word_categories import read_lexicon
from traitgraph.runtime.data.conversations import Conversation
from traitgraph.runtime.data.data_files import DataError, fault_at, shown
from traitgraph.runtime.data.dialogues import (
    SHOWN_OVERLAPS,
    Dialogue,
    Overlap,
    RowReader,
    Texts,
    overlaps,
    read_scenarios,
    texts_of,
)
from traitgraph.runtime.data.fields import Words
from traitgraph.runtime.data.rows import DialogueError, raw_rows
from traitgraph.runtime.jobs.locations import locate
from traitgraph.specs.folders.task_folder import TaskFolder
from traitgraph.specs.jobs.params import TraitCorrelation
from traitgraph.specs.jobs.refs import FileData, FolderModel, GeneratedData, ResolvedBenchmark
from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.hashing import counted_files, encode, is_saved
from traitgraph.specs.study.data import Form
from traitgraph.specs.study.study import Study
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .data_needs import Check, Need, levels_of, needs_of
from .preflight import Sample

SHARED_ROWS, SHARED_PROMPTS = "TG226", "TG227"

SMALL = 32 << 20
"""Files that a check reads, in bytes: some hundred thousand dialogues, in about a second."""


class Read(dict[object, "list[Any] | tuple[Diagnostic, ...]"]):
    """File and names of its fields -> its rows, or what is wrong with it; and the traits that rows may name."""

    def __init__(self, study: Study | None = None) -> None:
        super().__init__()
        self.traits = (study.traits if study else ()) or BIG_FIVE.whole_traits


def data_faults(plan: Plan, whole: bool = True) -> list[Diagnostic]:
    """What is wrong with the local files that missing jobs read, or only with the small ones; each fault once."""
    draft = plan.draft
    files = Read(draft.source)
    locations = draft.locations if whole else _small(draft.locations)
    found = [
        _faults_of(stage, locations, files, _writers(stage, draft.stages, draft.offsets))
        for stage, _ in draft.missing_by_stage
    ]
    found += [overlap_faults(plan, locations, files)] if plan.counts.missing else []
    return _each_once(chain.from_iterable(found), draft.source)


def _each_once(faults: Iterable[Diagnostic], study: Study | None) -> list[Diagnostic]:
    return [_from_spec(fault, study) for fault in dict.fromkeys(faults)]


def _from_spec(fault: Diagnostic, study: Study | None) -> Diagnostic:
    """A fault whose repair is a line of the spec, with the path of the file as the spec finds it."""
    written = re.search(r"\{path: (.*?), (form|fields): ", fault.hint or "")
    if study is None or written is None or fault.hint is None:
        return fault
    file, folder = Path(written[1]).absolute(), study.file.absolute().parent
    name = file.relative_to(folder) if file.is_relative_to(folder) else file
    return replace(fault, hint=fault.hint.replace(f"{{path: {written[1]},", f"{{path: {name},"))


def overlap_faults(plan: Plan, locations: Mapping[str, str], files: Read | None = None) -> Iterator[Diagnostic]:
    """Held-out rows of each arm that stand in its training: errors, or warnings where only the prompt does."""
    draft, seen = plan.draft, set[object]()
    known = Read(draft.source) if files is None else files
    for arm in draft.arms:
        stages = [draft.stages[index] for index in dict.fromkeys(map(draft.stage_of, arm.jobs))]
        yield from _overlaps(stages, locations, known, seen)


def stops_a_run(fault: Diagnostic) -> bool:
    """Whether no job would start: words of a questionnaire that are missing do, prompts in both splits do not."""
    return fault.code != SHARED_PROMPTS


def study_data_faults(study: Study, arms: Iterable[Sample], files: Read) -> list[Diagnostic]:
    """What is wrong with the small local files that a study reads, whatever a store holds; each fault once."""
    found, seen = list[Diagnostic](), set[object]()
    for _, builder in arms:
        locations = _small(builder.resolver.locations)
        offsets = tuple(accumulate((stage.rows for stage in builder.stages), initial=0))
        for stage in builder.stages:
            found += _faults_of(stage, locations, files, _writers(stage, builder.stages, offsets))
        found += _overlaps(builder.stages, locations, files, seen)
    return _each_once(found, study)


def conversations(
    stages: Iterable[Stage], locations: Mapping[str, str], files: Read
) -> Iterator[tuple[str, Conversation, str]]:
    """Folder of a model, a conversation that it is to hear, and its small file: the first of each order of roles."""
    small, seen = _small(locations), set[object]()
    for stage in stages:
        if not isinstance(model := stage.template.get("model"), FolderModel):
            continue
        for need in needs_of(stage):
            path, rows = _path(need.data, small), _rows(need.data, need.reader, small, files)
            place = (model.digest, need.reader, encode(need.data))
            if path is None or not isinstance(rows, list) or need.input == "examples" or place in seen:
                continue
            seen.add(place)
            said = [row.prompt for row in rows if isinstance(row.prompt, Conversation)]
            orders = {tuple(role for role, _ in each.turns): each for each in reversed(said)}
            yield from ((locations[model.digest], each, shown(path)) for each in orders.values())


def data_forms(stages: Iterable[Stage], locations: Mapping[str, str]) -> dict[str, str]:
    """Location of each small local file that is not plain throughout -> as what its rows are read."""
    told: dict[str, str] = {}
    locations = _small(locations)
    for need in (need for stage in stages for need in needs_of(stage)):
        path, data = _path(need.data, locations), need.data
        if path is None or not isinstance(data, FileData) or str(path) in told:
            continue
        forms = Counter[Form]()
        with suppress(DataError, OSError):  # its faults are told elsewhere
            forms = need.reader.forms(path, data)
        each = (f"{number:,} row{'s' * (number > 1)} of the form `{form}`" for form, number in forms.items())
        told[str(path)] = ", ".join(each) if forms.keys() - {"plain"} else ""
    return {where: words for where, words in told.items() if words}


def _small(locations: Mapping[str, str]) -> dict[str, str]:
    return {digest: where for digest, where in locations.items() if _is_small(where)}


def _is_small(location: str) -> bool:
    try:
        path = Path(location)
        files = counted_files(path) if is_saved(path) else [path]
        return sum(file.stat().st_size for file in files) <= SMALL
    except OSError:
        return False


def _writers(stage: Stage, stages: Sequence[Stage], offsets: Sequence[int]) -> dict[str, Stage]:
    """The stage behind each input of a stage."""
    return {each.name: stages[bisect_right(offsets, each.refs[0]) - 1] for each in stage.inputs if each.refs}


def _faults_of(
    stage: Stage, locations: Mapping[str, str], files: Read, writers: Mapping[str, Stage]
) -> Iterator[Diagnostic]:
    used = stage.template.get("benchmark") or stage.template.get("analysis")
    yield from _faults_of_file(used, locations, files)
    for need in needs_of(stage):
        path, rows = _path(need.data, locations), _rows(need.data, need.reader, locations, files)
        if isinstance(need.data, GeneratedData) and (writer := writers.get(need.input)):
            scenes: Any = writer.template["scenarios"]
            path = _path(scenes, locations)
            rows = _to_be_written(writer, _rows(scenes, read_scenarios, locations, files))
        if isinstance(rows, tuple):
            yield from rows
        elif rows is not None and path is not None:
            yield from (fault_at(path, None, told) for check in need.checks(rows) if (told := _refusal(check)))


def _path(data: object, locations: Mapping[str, str]) -> Path | None:
    """Where a local file lies that can be read here."""
    return Path(locations[data.digest]) if isinstance(data, FileData) and data.digest in locations else None


def _rows(
    data: object, reader: RowReader[Any], locations: Mapping[str, str], files: Read
) -> list[Any] | tuple[Diagnostic, ...] | None:
    """The rows of a local file, or what is wrong with it; None for other data."""
    path = _path(data, locations)
    if path is None or not isinstance(data, FileData):
        return None
    place = (reader, encode(data))
    if place not in files:
        words = Words(files.traits, levels_of(data).levels)
        files[place] = _read(partial(reader, path, data.fields, data.form, data.table, words), path)
    return files[place]


def _to_be_written(writer: Stage, scenes: list[Any] | tuple[Diagnostic, ...] | None) -> list[Dialogue] | None:
    """The dialogues that jobs will write to scenes, as far as is known now: each reply is another."""
    if not isinstance(scenes, list):
        return None  # what is wrong with the scenes is told of the jobs that write
    template: Any = writer.template
    conditions: Any = dict.fromkeys(zip(writer.table["trait"], writer.table["level"], strict=True))
    return [
        Dialogue(scene.id, trait, level, scene.split, scene.prompt, f"{trait} {level} {place}", scene.id)
        for trait, level in conditions
        for place, scene in enumerate(scenes[: template.get("limit")])
    ]


# ---------------------------------------------------------------- what is learnt and measured


def _overlaps(
    stages: Sequence[Stage], locations: Mapping[str, str], files: Read, seen: set[object]
) -> Iterator[Diagnostic]:
    """What is held out and stands in training, in the data of one arm; `seen` holds the pairs that were compared."""
    needs = [need for stage in stages for need in needs_of(stage)]
    if any(isinstance(need.data, GeneratedData) and need.split == "heldout" for need in needs):
        needs += [need._replace(split="heldout") for need in needs if need.writer]
    sides = ([need for need in needs if need.split == split] for split in ("heldout", "train"))
    named = ({(encode(need.data), need.reader, *need.traits): need for need in side} for side in sides)
    for (one, held), (other, trained) in product(*(side.items() for side in named)):
        if (one, other) in seen:
            continue
        seen.add((one, other))
        found = overlaps(*(_split(need, _rows(need.data, need.reader, locations, files)) for need in (held, trained)))
        greedy = all(need.writer.get("temperature") == 0 for need in (held, trained))  # equal scenes, equal replies
        for same in (True, False):
            if pairs := [each for each in found if (each.same_reply or greedy) is same]:
                yield _overlap(held, trained, pairs, same, locations)


def _split(need: Need, rows: list[Any] | tuple[Diagnostic, ...] | None) -> Texts:
    """What is learnt of rows, or measured with them; a row without a trait is about all, one without a split counts."""

    def counts(row: Any) -> bool:
        about = getattr(row, "trait", None)
        return getattr(row, "split", need.split) == need.split and (
            about is None or not need.traits or about in need.traits
        )

    return texts_of(rows[: need.writer.get("limit")], counts) if isinstance(rows, list) else {}


def _overlap(
    held: Need, trained: Need, pairs: Sequence[Overlap], same: bool, locations: Mapping[str, str]
) -> Diagnostic:
    """One fault for all rows of a file that are held out and stand in training, with the lines of the first."""
    tables = [
        (path, need.data.table)
        for need in (held, trained)
        if isinstance(need.data, FileData) and (path := _path(need.data, locations))
    ]
    paths = [path for path, _ in tables]
    rows, others = (list(raw_rows(*each)) for each in tables)
    where = "" if paths[0] == paths[1] else f" of {shown(paths[1])}"
    told = [f"{rows[one].place} and {others[other].place}{where}" for one, other, _ in pairs[:SHOWN_OVERLAPS]]
    told += [f"{len(pairs) - SHOWN_OVERLAPS:,} more"] if len(pairs) > SHOWN_OVERLAPS else []
    stand = "s stand in training too" if len(pairs) > 1 else " stands in training too"
    which = f"row{stand}, prompt and reply" if same else f"prompt{stand}"
    hint = "the report says so; only prompts that were not seen show what carries over to others"
    if same:
        hint = "leave each out of one split: what was trained on tells nothing of what was learnt"
    fault = rows[pairs[0].heldout].fault(f"{len(pairs):,} held-out {which}: {', '.join(told)}", hint, "prompt")
    return replace(fault, code=SHARED_ROWS) if same else replace(fault, code=SHARED_PROMPTS, severity="warning")


def _refusal(check: Check) -> str | None:
    try:
        check()
    except DialogueError as fault:
        return str(fault)
    return None


def _faults_of_file(used: object, locations: Mapping[str, str], files: Read) -> Iterable[Diagnostic]:
    """What is wrong with the items or words that a benchmark asks for or counts, or the matrix of an analysis."""
    reader: Callable[[Path], Collection[object]]
    about: Any = used
    how: object = None
    kind = about.kind if isinstance(used, ResolvedBenchmark | TraitCorrelation) else ""
    match kind:
        case "questionnaire":
            files_of = ((about.forms and about.forms.language) or {}).values()
            languages = tuple(locate(locations[each]) for each in files_of if each in locations)
            words = ItemWords.of(about, files.traits)
            how = str((about.mode, languages, words, about.forms))
            asked = partial(questionnaire_for, mode=about.mode, words=words, forms=about.forms)
            digest, reader = about.items, partial(_items_asked, asked, languages, words)
        case "linguistic" | "story":
            digest, reader = about.lexicon, read_lexicon
        case "trait_correlation":
            digest, reader = about.reference, partial(read_reference, traits=about.traits or BIG_FIVE.whole_traits)
        case "lm_eval" if about.definition in locations:
            if (task := (about.definition, about.task, about.shots)) not in files:
                files[task] = tuple(TaskFolder(Path(locations[task[0]])).faults_of(about.task, about.shots))
            return files[task]
        case _:
            return ()
    if digest not in locations:
        return ()
    place = how or reader, digest
    if place not in files:
        path = locate(locations[digest])
        files[place] = _read(partial(reader, path), path)
    found = files[place]
    return found if isinstance(found, tuple) else ()


def _items_asked(
    asked: Callable[[Path], Questionnaire], languages: tuple[Path, ...], words: ItemWords, path: Path
) -> Collection[object]:
    questionnaire = asked(path)
    return [translation_of(questionnaire, each, words) for each in languages] or questionnaire.items


def _read(reader: Callable[[], Collection[Any]], path: Path) -> list[Any] | tuple[Diagnostic, ...]:
    try:
        return list(reader())
    except DataError as problem:
        return problem.faults
    except OSError as problem:
        return (fault_at(path, None, f"cannot be read: {problem.strerror or type(problem).__name__}"),)
