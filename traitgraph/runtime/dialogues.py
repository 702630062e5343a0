"""Read dialogue rows: one prompt and one reply of a person with a trait at a level.

A row has `prompt`, `reply`, `trait` and `level`. It may have `split` (train; heldout, also called test; absent means
train), `pair` (shared by the replies to one prompt at opposite levels; absent means the prompt) and `id` (absent means
its number).
Other names are mapped: our field -> the file's field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from traitgraph.specs.jobs import DataRef, FileData, GeneratedData, HubData
from traitgraph.specs.traits import LEVELS, TRAITS, Level, Trait

from .context import JobContext
from .locations import verified

Made = TypeVar("Made")
SPLITS = {"train": "train", "heldout": "heldout", "test": "heldout"}
"""Split in a file -> split; data sets of the hub say test."""
REQUIRED = ("prompt", "reply", "trait", "level")
SHOWN_FAULTS = 5
GENERATED_FILE = "dialogues.jsonl"
"""Rows of a `generate` artifact, with our own field names."""


class DialogueError(ValueError):
    """Rows that cannot be used; the message has one line per fault, `file:line: reason`."""


class Dialogue(NamedTuple):
    """One prompt with one reply."""

    id: str
    trait: Trait
    level: Level
    split: str
    prompt: str
    reply: str
    pair: str


class ReplyPair(NamedTuple):
    """A prompt with a high and a low reply."""

    pair: str
    prompt: str
    high: str
    low: str


class Scenario(NamedTuple):
    """What a dialogue to be written answers."""

    id: str
    split: str
    prompt: str


class Question(NamedTuple):
    """An open question whose answer shows a trait."""

    id: str
    trait: Trait
    prompt: str


def load_questions(context: JobContext, data: DataRef) -> list[Question]:
    """The questions of a data source that is there, in its order; only `prompt` and `trait` are needed.

    Raises DialogueError for rows that do not fit, OSError for a missing file.
    """
    assert not isinstance(data, GeneratedData), "a spec names questions that are there"
    return _questions(_rows_of(context, data), data.fields)


def read_questions(path: Path, fields: Mapping[str, str] | None = None) -> list[Question]:
    """All questions of a JSONL file, as `read_dialogues` reads rows."""
    return _questions(_json_lines(path), fields or {})


def _questions(rows: Iterable[tuple[str, object]], fields: Mapping[str, str]) -> list[Question]:
    return _checked(rows, lambda row, number: _question(row, fields, number))


def load_scenarios(context: JobContext, data: FileData | HubData) -> list[Scenario]:
    """The prompts of a data source, in its order; other fields but `id` and `split` are not needed.

    Raises DialogueError for rows that do not fit, OSError for a missing file.
    """
    return _scenarios(_rows_of(context, data), data.fields)


def read_scenarios(path: Path, fields: Mapping[str, str] | None = None) -> list[Scenario]:
    """All prompts of a JSONL file, as `read_dialogues` reads rows."""
    return _scenarios(_json_lines(path), fields or {})


def _scenarios(rows: Iterable[tuple[str, object]], fields: Mapping[str, str]) -> list[Scenario]:
    return _checked(rows, lambda row, number: _scenario(row, fields, number))


def load_trait_prompts(context: JobContext, data: DataRef, trait: Trait) -> list[str]:
    """Distinct prompts of the training split, in file order; of rows that name a trait only those of this one.

    Replies and levels are not needed. Raises DialogueError when there is none, OSError for a missing file.
    """
    if isinstance(data, GeneratedData):
        found = [row.prompt for row in load_dialogues(context, data) if (row.trait, row.split) == (trait, "train")]
    else:
        fields, name = data.fields, data.fields.get("trait", "trait")
        rows = _checked(_rows_of(context, data), lambda row, number: (_scenario(row, fields, number), row.get(name)))
        asked = [(scene, str(about or trait).strip().lower()) for scene, about in rows]
        found = [scene.prompt for scene, about in asked if (about, scene.split) == (trait, "train")]
    if not found:
        raise DialogueError(f"the data have no question about {trait}")
    return list(dict.fromkeys(found))


def load_dialogues(context: JobContext, data: DataRef, generated: str = "data") -> list[Dialogue]:
    """All rows of a data source; those that jobs generated are the input `generated`.

    Raises DialogueError for rows that do not fit, OSError for a missing file.
    """
    if isinstance(data, GeneratedData):
        return [row for folder in context.inputs[generated] for row in read_dialogues(folder / GENERATED_FILE)]
    return _dialogues(_rows_of(context, data), data.fields)


def _rows_of(context: JobContext, data: FileData | HubData) -> Iterable[tuple[str, object]]:
    """Raw rows with their places."""
    if isinstance(data, FileData):
        return _json_lines(verified(context.locations, data.digest))
    from datasets import load_dataset

    from .quiet import quiet_libraries

    with quiet_libraries():
        rows = load_dataset(data.id, name=data.config, revision=data.revision, split=data.split)
    return ((f"{data.id}: row {number}", row) for number, row in enumerate(rows))


def read_dialogues(path: Path, fields: Mapping[str, str] | None = None) -> list[Dialogue]:
    """All rows of a JSONL file (UTF-8, lines end with a line feed only; blank lines are skipped)."""
    return _dialogues(_json_lines(path), fields or {})


def training_rows(dialogues: Iterable[Dialogue], trait: Trait, level: Level) -> list[Dialogue]:
    """The training split of one trait and level, in file order. Raises DialogueError when it is empty."""
    rows = [row for row in dialogues if (row.trait, row.level, row.split) == (trait, level, "train")]
    if not rows:
        raise DialogueError(f"the data have no training row for {trait} {level}")
    return rows


def joint_rows(dialogues: Iterable[Dialogue], traits: Collection[Trait]) -> list[Dialogue]:
    """The training split of some traits at both levels, in file order. Raises DialogueError when one level has none."""
    rows = [row for row in dialogues if row.trait in traits and row.split == "train"]
    there = {(row.trait, row.level) for row in rows}
    if missing := [f"{trait} {level}" for trait in traits for level in LEVELS if (trait, level) not in there]:
        raise DialogueError(f"the data have no training row for {', '.join(missing)}")
    if not rows:
        raise DialogueError("the data have no training row")
    return rows


def spread_rows(dialogues: Sequence[Dialogue], most: int) -> list[Dialogue]:
    """At most so many held-out rows, evenly spaced in file order; of all rows where none is held out.

    Evenly, because files are often sorted by trait. Raises DialogueError when there is no row.
    """
    rows = [row for row in dialogues if row.split == "heldout"] or dialogues
    if not rows:
        raise DialogueError("the data have no row")
    count = min(most, len(rows))
    return [rows[at * len(rows) // count] for at in range(count)]


def reply_pairs(dialogues: Iterable[Dialogue], trait: Trait, split: str) -> list[ReplyPair]:
    """Each high reply of a trait and split with the low reply of the same pair, in file order of the high ones.

    Replies without a partner are left out. Raises DialogueError when no pair is left.
    """
    rows = [row for row in dialogues if row.trait == trait and row.split == split]
    low = {row.pair: row for row in rows if row.level == "low"}
    high = {row.pair: row for row in rows if row.level == "high"}
    pairs = [ReplyPair(pair, row.prompt, row.reply, low[pair].reply) for pair, row in high.items() if pair in low]
    if not pairs:
        raise DialogueError(f"the data have no pair of a high and a low reply for {trait}, split {split}")
    return pairs


def _json_lines(path: Path) -> Iterator[tuple[str, object]]:
    # Text may hold other Unicode line separators, so lines are split at line feeds only.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            place = f"{path.name}:{number}"
            try:
                yield place, json.loads(line)
            except json.JSONDecodeError as error:
                raise DialogueError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error


def _dialogues(rows: Iterable[tuple[str, object]], fields: Mapping[str, str]) -> list[Dialogue]:
    return _checked(rows, lambda row, number: _dialogue(row, fields, number))


def _checked(rows: Iterable[tuple[str, object]], made: Callable[[Mapping[str, object], int], Made]) -> list[Made]:
    """What is made of each row. Raises DialogueError with the first faults and the number of the others."""
    faults: list[str] = []
    found: list[Made] = []
    for number, (place, row) in enumerate(rows, start=1):
        try:
            if not isinstance(row, Mapping):
                raise DialogueError("not a mapping of fields")
            found.append(made(row, number))
        except DialogueError as error:
            faults.append(f"{place}: {error}")
    if faults:
        more = [f"... and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
        raise DialogueError("\n".join(faults[:SHOWN_FAULTS] + more))
    return found


def _scenario(row: Mapping[str, object], fields: Mapping[str, str], number: int) -> Scenario:
    name, split = row.get("id"), row.get(fields.get("split", "split"))
    return Scenario(
        id=str(number if name is None else name),
        split=SPLITS[_one_of(str(split or "train"), SPLITS, "split")],
        prompt=_text(row, fields.get("prompt", "prompt")),
    )


def _question(row: Mapping[str, object], fields: Mapping[str, str], number: int) -> Question:
    name = row.get("id")
    trait = _one_of(_text(row, fields.get("trait", "trait")), TRAITS, "trait")
    return Question(
        str(number if name is None else name), cast("Trait", trait), _text(row, fields.get("prompt", "prompt"))
    )


def _dialogue(row: Mapping[str, object], fields: Mapping[str, str], number: int) -> Dialogue:
    texts = {name: _text(row, fields.get(name, name)) for name in REQUIRED}
    optional = {name: row.get(fields.get(name, name)) for name in ("split", "pair", "id")}
    return Dialogue(
        id=str(number if optional["id"] is None else optional["id"]),
        trait=cast("Trait", _one_of(texts["trait"], TRAITS, "trait")),
        level=cast("Level", _one_of(texts["level"], LEVELS, "level")),
        split=SPLITS[_one_of(str(optional["split"] or "train"), SPLITS, "split")],
        prompt=texts["prompt"],
        reply=texts["reply"],
        pair=str(texts["prompt"] if optional["pair"] is None else optional["pair"]),
    )


def _text(row: Mapping[str, object], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DialogueError(f"field '{field}' must hold text, not {value!r}")
    return value


def _one_of(value: str, known: Collection[str], field: str) -> str:
    if (word := value.strip().lower()) not in known:
        raise DialogueError(f"{field} must be one of {', '.join(known)}, not '{value}'")
    return word
