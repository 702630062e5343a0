"""Read dialogue rows: one prompt and one reply of a person with a trait at a level.

A row has `prompt` and `reply` (or another form of `fields.py`), `trait` and `level`. It may have `split` (train;
heldout, also called test; absent means train), `pair` (shared by the replies to one prompt at opposite levels; absent
means the prompt) and `id` (absent means its number).
Other names are mapped: our field -> the file's field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Generic, NamedTuple
from unicodedata import normalize

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import named, verified
from traitgraph.runtime.jobs.process import quiet_libraries
from traitgraph.runtime.store.errors import HubError
from traitgraph.specs.folders.tables import Table, labelled
from traitgraph.specs.jobs.refs import DataRef, FileData, GeneratedData, HubData
from traitgraph.specs.study.data import Form
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait, Vocabulary

from .conversations import Said
from .fields import BIG_FIVE_WORDS, Fields, Made, Words, checked, forms_of
from .rows import DialogueError, Row, raw_rows

SPLITS = {"train": "train", "heldout": "heldout", "test": "heldout"}
"""Split in a file -> split; data sets of the hub say test."""
GENERATED_FILE = "dialogues.jsonl"
"""Rows of a `generate` artifact, with our own field names."""
SHOWN_OVERLAPS = 5
"""Pairs of rows that a message names."""


class Dialogue(NamedTuple):
    """One prompt with one reply."""

    id: str
    trait: Trait
    level: Level
    split: str
    prompt: Said
    reply: str
    pair: str


class ReplyPair(NamedTuple):
    """A prompt with a reply of each of two opposite levels."""

    pair: str
    prompt: Said
    replies: Mapping[Level, str]


class Scenario(NamedTuple):
    """What a dialogue to be written answers."""

    id: str
    split: str
    prompt: Said


class Question(NamedTuple):
    """An open question whose answer shows a trait."""

    id: str
    trait: Trait
    prompt: Said


class Asked(NamedTuple):
    """A prompt that any trait may show in, or only one."""

    trait: Trait | None
    split: str
    prompt: Said


class RowReader(Generic[Made]):
    """Reads rows of one sort, in whatever form. Raises DialogueError for rows that do not fit, OSError without a file.

    `made` makes one of the fields of a row and its number; `key` is that of the spec under which such data stand.
    """

    def __init__(self, made: Callable[[Fields, int], Made], key: str = "data", *, reply: bool = False) -> None:
        self.made, self.key, self.reply = made, key, reply

    def __call__(
        self,
        path: Path,
        fields: Mapping[str, str] | None = None,
        form: Form | None = None,
        table: Table | None = None,
        words: Words = BIG_FIVE_WORDS,
    ) -> list[Made]:
        """All rows of a file as a spec names them: `fields`, `form`, and how a table is written."""
        return checked(raw_rows(path, table), fields or {}, self.made, self.key, form, words)

    def load(self, context: JobContext, data: FileData | HubData) -> list[Made]:
        """All rows of a data source that is there, in its order."""
        return checked(_rows_of(context, data), data.fields, self.made, self.key, data.form, words_of(context, data))

    def forms(self, path: Path, data: FileData) -> Counter[Form]:
        """How many rows of a file have each form."""
        return forms_of(raw_rows(path, data.table), data.fields, data.form, reply=self.reply)


def words_of(context: JobContext, data: DataRef) -> Words:
    """What rows of a data source may name: the traits of the study, the levels of these data."""
    return Words(context.traits, Vocabulary.of_levels(data.levels).levels)


def load_trait_prompts(context: JobContext, data: DataRef, trait: Trait) -> list[Said]:
    """Distinct prompts of the training split, in file order; of rows that name a trait only those of this one.

    Replies and levels are not needed. Raises DialogueError when there is none, OSError for a missing file.
    """
    if isinstance(data, GeneratedData):
        return trait_prompts(load_dialogues(context, data), trait)
    return trait_prompts(read_asked.load(context, data), trait)


def trait_prompts(rows: Iterable[Asked | Dialogue], trait: Trait) -> list[Said]:
    """What `load_trait_prompts` gives, of rows that were read."""
    found = [row.prompt for row in rows if row.trait in (trait, None) and row.split == "train"]
    if not found:
        raise DialogueError(f"the data have no question about {trait}")
    return list(dict.fromkeys(found))


def load_dialogues(context: JobContext, data: DataRef, generated: str = "data") -> list[Dialogue]:
    """All rows of a data source; those that jobs generated are the input `generated`.

    Raises DialogueError for rows that do not fit, OSError for a missing file.
    """
    if isinstance(data, GeneratedData):
        files, words = (folder / GENERATED_FILE for folder in context.inputs[generated]), words_of(context, data)
        return [row for file in files for row in read_dialogues(file, words=words)]
    return read_dialogues.load(context, data)


def _rows_of(context: JobContext, data: FileData | HubData) -> Iterable[Row]:
    """Raw rows with their places."""
    if isinstance(data, FileData):
        return raw_rows(verified(context.locations, data.digest), data.table)
    from datasets import load_dataset

    if Path(data.id).exists():
        reason = f"a folder of this name lies in {Path.cwd()}, and `datasets` would read it in place of the hub's"
        raise HubError(f"{data.id}: {reason}; run from another folder")
    with named(data.id, data.revision), quiet_libraries():
        rows = load_dataset(data.id, name=data.config, revision=data.revision, split=data.split)
    features = rows.features.to_dict()
    return (Row(data.id, number, "", labelled(row, features), "id") for number, row in enumerate(rows))


def training_rows(dialogues: Iterable[Dialogue], trait: Trait, level: Level) -> list[Dialogue]:
    """The training split of one trait and level, in file order. Raises DialogueError when it is empty."""
    rows = [row for row in dialogues if (row.trait, row.level, row.split) == (trait, level, "train")]
    if not rows:
        raise DialogueError(f"the data have no training row for {trait} {level}")
    return rows


def joint_rows(
    dialogues: Iterable[Dialogue], traits: Collection[Trait], levels: Collection[Level] = BIG_FIVE.ends
) -> list[Dialogue]:
    """The training split of some traits at all levels, in file order. Raises DialogueError when one level has none."""
    rows = [row for row in dialogues if row.trait in traits and row.split == "train"]
    there = {(row.trait, row.level) for row in rows}
    if missing := [f"{trait} {level}" for trait in traits for level in levels if (trait, level) not in there]:
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


def reply_pairs(
    dialogues: Iterable[Dialogue], trait: Trait, split: str, levels: tuple[Level, Level] = BIG_FIVE.ends
) -> list[ReplyPair]:
    """Replies of a trait and split at one level with those of the same pair at the other, in file order of the first.

    Where several replies share a pair, the first at one level goes with the first at the other, the second with the
    second (as pair `NAME #2`), and so on; equal ones count once. Replies without a partner are left out.
    Raises DialogueError when no pair is left.
    """
    found: dict[Level, dict[str, dict[str, Dialogue]]] = {level: {} for level in levels}
    for row in dialogues:
        if (row.trait, row.split) == (trait, split) and row.level in found:
            found[row.level].setdefault(row.pair, {}).setdefault(row.reply, row)
    first, second = levels
    pairs = [
        ReplyPair(name if number == 1 else f"{name} #{number}", row.prompt, {first: row.reply, second: other.reply})
        for name, rows in found[first].items()
        for number, (row, other) in enumerate(
            zip(rows.values(), found[second].get(name, {}).values(), strict=False), start=1
        )
    ]
    if not pairs:
        raise DialogueError(f"the data have no pair of replies, {first} and {second}, for {trait}, split {split}")
    return pairs


def same_replies(pair: ReplyPair) -> bool:
    """Whether both replies of a pair are one: no model can prefer either, and the pair says nothing."""
    return len(set(map(_spoken, pair.replies.values()))) < 2


def contrasting_pairs(dialogues: Iterable[Dialogue], trait: Trait, levels: tuple[Level, Level] = BIG_FIVE.ends) -> None:
    """Raises DialogueError where held-out pairs of a trait are missing, or have one reply at both levels."""
    if same := [pair.pair for pair in reply_pairs(dialogues, trait, "heldout", levels) if same_replies(pair)]:
        named = ", ".join([*map(repr, same[:SHOWN_OVERLAPS]), *["..."] * (len(same) > SHOWN_OVERLAPS)])
        count = f"{len(same)} held-out pairs" if len(same) > 1 else "one held-out pair"
        raise DialogueError(f"{count} of {trait} with the same reply at both levels, which says nothing: {named}")


def differing_rows(
    dialogues: Sequence[Dialogue], trait: Trait, read_out: str, levels: tuple[Level, Level] = BIG_FIVE.ends
) -> dict[Level, list[Dialogue]]:
    """The training split of a trait at two levels. Raises DialogueError where what is read does not differ by level.

    Equal prompts have equal activations, and a direction between them is noise.
    """
    rows: dict[Level, list[Dialogue]] = {level: training_rows(dialogues, trait, level) for level in levels}
    read = [
        Counter((row.prompt, row.reply if read_out == "response" else "") for row in each) for each in rows.values()
    ]
    shares = [{text: count / found.total() for text, count in found.items()} for found in read]
    if any(first == second for first, second in combinations(shares, 2)):
        repair = "use `read_out: response`" if read_out != "response" else "give each level replies of its own"
        what = "replies" if read_out == "response" else "prompts"
        raise DialogueError(
            f"`read_out: {read_out}` needs {what} that differ by level; {trait} has the same at both: {repair}"
        )
    return rows


class Overlap(NamedTuple):
    """A held-out row whose prompt stands in training as well: the places of both in their data, counted from 0."""

    heldout: int
    training: int
    same_reply: bool


Texts = Mapping[int, tuple[str, str]]
"""Place of a row -> its prompt and its reply, '' where it has none."""


def texts_of(rows: Iterable[object], wanted: Callable[[Any], bool]) -> Texts:
    """The texts of the wanted rows of any sort."""
    kept = ((place, row) for place, row in enumerate(rows) if wanted(row))
    return {place: (_spoken(getattr(row, "prompt", "")), _spoken(getattr(row, "reply", ""))) for place, row in kept}


def _spoken(text: Said) -> str:
    """A text as people compare it: the number of blanks and the way accents are encoded aside."""
    return " ".join(normalize("NFC", str(text)).split())


def overlaps(heldout: Texts, training: Texts) -> list[Overlap]:
    """Every held-out row whose prompt stands in training, beside the first such row, one with the same reply before."""
    whole, prompts = dict[tuple[str, str], int](), dict[str, int]()
    for place, texts in training.items():
        whole.setdefault(texts, place)
        prompts.setdefault(texts[0], place)
    return [
        Overlap(place, whole.get((prompt, reply), prompts[prompt]), bool(reply) and (prompt, reply) in whole)
        for place, (prompt, reply) in heldout.items()
        if prompt in prompts
    ]


def held_out_overlaps(dialogues: Sequence[Dialogue], traits: Collection[Trait], *, learnt: bool) -> list[Overlap]:
    """Held-out rows about some traits whose prompts stand in their training split as well.

    Raises DialogueError where prompt and reply do and the subject has learnt: what was learnt measures nothing.
    """

    def about(split: str) -> Texts:
        return texts_of(dialogues, lambda row: row.trait in traits and row.split == split)

    found = overlaps(about("heldout"), about("train"))
    if learnt and (same := [each for each in found if each.same_reply]):
        rows = ", ".join(f"{each.heldout + 1} is {each.training + 1}" for each in same[:SHOWN_OVERLAPS])
        raise DialogueError(f"{len(same)} held-out rows also stand in training, prompt and reply: row {rows}")
    return found


def _scenario(row: Fields, number: int) -> Scenario:
    return Scenario(id=_id(row, number), split=_split(row), prompt=row.said(reply=False)[0])


def _question(row: Fields, number: int) -> Question:
    return Question(_id(row, number), row.word("trait", row.words.traits), row.said(reply=False)[0])


def _asked(row: Fields, number: int) -> Asked:
    return Asked(
        row.word("trait", row.words.traits) if row.get("trait") else None, _split(row), row.said(reply=False)[0]
    )


def _dialogue(row: Fields, number: int) -> Dialogue:
    trait, level, split = row.word("trait", row.words.traits), row.word("level", row.words.levels), _split(row)
    prompt, reply = row.said(reply=True)
    pair = row.optional("pair")
    return Dialogue(
        id=_id(row, number),
        trait=trait,
        level=level,
        split=split,
        prompt=prompt,
        reply=reply,
        pair=str(prompt if pair is None else pair),
    )


def _id(row: Fields, number: int) -> str:
    name = row.get("id")
    return str(number if name is None else name)


def _split(row: Fields) -> str:
    return SPLITS.get(row.word("split", SPLITS, default="train"), "")


read_dialogues = RowReader(_dialogue, reply=True)
read_questions, read_scenarios = RowReader(_question, "questions"), RowReader(_scenario, "scenarios")
read_asked = RowReader(_asked)
