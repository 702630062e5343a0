"""How many dialogue rows the jobs of a stage read: counted in local files, as a limit says, known of a data set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from traitgraph.compiler.ir.context import Counts
from traitgraph.compiler.ir.ir import Draft, Input, Stage
from traitgraph.specs.jobs.refs import FileData, GeneratedData, HubData
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

from .hardware import Range

ROWS_OF_DATA = {"wenkai-li/big5_chat": 10_000}
"""Training rows for one trait and level (arXiv:2410.16491: 100,000 dialogues over 5 traits x 2 levels)."""

UNKNOWN_ROWS = Range(200, 10_000)
"""Training rows for one trait and level, where nothing is known of them."""

SCENARIOS = Range(1_000, 10_000)
"""Scenes without a limit: up to 10,000 (BIG5-CHAT)."""

QUESTIONS = Range(80, 100)
"""Questions about one trait: about 90 (NPTI)."""

Condition = tuple[object, object]
"""Trait and level; None stands for all of them."""


def conditions_of(stage: Stage) -> set[Condition]:
    """What the jobs of a stage are about."""
    everything = [None] * stage.table.rows
    columns = (stage.table.columns.get(name, everything) for name in ("trait", "level"))
    return set(zip(*columns, strict=True))


def training_rows(stage: Stage, draft: Draft) -> Range:
    """Rows of the training split that one job of a stage reads: those of its trait and level, or of all of them."""
    each = [
        rows_of(stage, stage.template["data"], wanted, draft) or UNKNOWN_ROWS.times(_number(wanted, stage))
        for wanted in conditions_of(stage)
    ]
    return Range(min(rows.low for rows in each), max(rows.high for rows in each))


def rows_of(stage: Stage, data: object, wanted: Condition, draft: Draft, split: str = "train") -> Range | None:
    """Rows about a trait and level in data that the jobs of a stage read, at least one; None if nothing is known."""
    if counts := counts_of(data, draft):
        return Range.exactly(max(1, sum(_matching(counts, wanted, split))))
    if isinstance(data, HubData) and data.id in ROWS_OF_DATA and split == "train":
        return Range.exactly(ROWS_OF_DATA[data.id] * _number(wanted, stage))
    made = _dialogues(stage) if isinstance(data, GeneratedData) else None
    if made is None:
        return None
    source, _ = draft.locate(made.refs[0])
    scenes = counts_of(source.template["scenarios"], draft)
    if not scenes and split != "train":
        return None
    share = sum(_matching(scenes, (None, None), split)) / sum(scenes.values()) if scenes else 1.0
    return replies_of(source, draft).times(share * _number(wanted, stage))


def replies_of(stage: Stage, draft: Draft) -> Range:
    """Replies that one `generate` job writes: one for each scene."""
    limit = stage.template.get("limit")
    counts = counts_of(stage.template["scenarios"], draft)
    if counts:
        scenes = Range.exactly(sum(counts.values()))
        return scenes.at_most(limit) if isinstance(limit, int) else scenes
    return Range.exactly(limit) if isinstance(limit, int) else SCENARIOS


def questions_of(stage: Stage, draft: Draft) -> Range:
    """Questions that a `neurons` job asks at each level: the distinct training prompts about its trait."""
    data, limit = stage.template["data"], stage.template.get("limit")
    found = list(_prompts(stage, data, draft))
    questions = Range(min(each.low for each in found), max(each.high for each in found))
    return questions.at_most(limit) if isinstance(limit, int) else questions


def _prompts(stage: Stage, data: object, draft: Draft) -> Iterator[Range]:
    """For each trait of a stage: as many prompts as rows, or half if each stands at both levels."""
    counts = counts_of(data, draft)
    for trait, _ in conditions_of(stage):
        if counts:
            about = sum(sum(_matching(counts, (each, None), "train")) for each in (trait, ""))
            leveled = any(level for (_, level, _) in counts)
            yield Range(max(1, about / 2) if leveled else max(1, about), max(1, about))
        elif rows := rows_of(stage, data, (trait, levels_of(stage).ends[0]), draft):
            yield rows
        else:
            yield QUESTIONS


def counts_of(data: object, draft: Draft) -> Counts:
    """Rows of a local file; empty for other data, and for a file that was not counted."""
    return draft.dialogues.get(encode(data), {}) if isinstance(data, FileData) else {}


def _matching(counts: Counts, wanted: Condition, split: str) -> Iterable[float]:
    trait, level = wanted
    return (
        number
        for (of_trait, of_level, of_split), number in counts.items()
        if of_split == split and trait in (None, of_trait) and level in (None, of_level)
    )


def _number(wanted: Condition, stage: Stage) -> int:
    """How many pairs of trait and level are meant; without a trait those whose dialogues the stage gets, else all."""
    trait, level = wanted
    if trait is None and level is None and (made := _dialogues(stage)):
        return made.width
    every = stage.template.get("traits") or BIG_FIVE.traits
    assert isinstance(every, Collection), "the traits of a joint training"
    return (1 if trait is not None else len(every)) * (1 if level is not None else len(levels_of(stage).levels))


def levels_of(stage: Stage) -> Vocabulary:
    """The levels of the dialogues that a stage reads."""
    benchmark = stage.template.get("benchmark")
    return Vocabulary.of_levels(getattr(stage.template.get("data", getattr(benchmark, "data", None)), "levels", None))


def _dialogues(stage: Stage) -> Input | None:
    """The dialogues that `generate` jobs make for a stage."""
    return next((each for each in stage.inputs if each.name == "data"), None)
