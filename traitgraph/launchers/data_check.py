"""Read local dialogue files before anything runs: a missing level is found in a second, not after loading a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir import MISSING, Stage
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.dialogues import Dialogue, DialogueError, read_dialogues, reply_pairs, training_rows
from traitgraph.specs.benchmarks import ResolvedReplyContrast
from traitgraph.specs.jobs import FileData


def data_faults(plan: Plan) -> list[str]:
    """What is wrong with the local files that missing trainings and reply contrasts read; each fault once."""
    files: dict[FileData, list[Dialogue] | str] = {}
    faults: dict[str, None] = {}
    draft = plan.draft
    for index, stage in enumerate(draft.stages):
        if MISSING not in draft.status[draft.offsets[index] : draft.offsets[index + 1]]:
            continue
        for fault in _faults_of(stage, draft.locations, files):
            faults[fault] = None
    return list(faults)


def _faults_of(stage: Stage, locations: Any, files: dict[Any, list[Dialogue] | str]) -> Iterator[str]:
    template: Any = stage.template
    benchmark = template.get("benchmark")
    contrast = benchmark if isinstance(benchmark, ResolvedReplyContrast) else None
    data = contrast.data if contrast else template.get("data") if stage.kind == "train" else None
    if not isinstance(data, FileData):
        return
    path = Path(locations[data.digest])
    place = (data.digest, tuple(sorted(data.fields.items())))
    if place not in files:
        files[place] = _read(path, data)
    rows = files[place]
    if isinstance(rows, str):
        yield f"{path}: {rows}"
        return
    conditions: Iterable[Any] = ()
    if stage.kind == "train":
        conditions = dict.fromkeys(zip(stage.table["trait"], stage.table["level"], strict=True))
    checks: list[Callable[[], object]] = [partial(training_rows, rows, *condition) for condition in conditions]
    checks += [partial(reply_pairs, rows, trait, "heldout") for trait in (contrast.traits if contrast else ())]
    for check in checks:
        try:
            check()
        except DialogueError as fault:
            yield f"{path}: {fault}"


def _read(path: Path, data: FileData) -> list[Dialogue] | str:
    try:
        return read_dialogues(path, data.fields)
    except (DialogueError, OSError, UnicodeDecodeError) as fault:
        return str(fault)
