"""Every form in which people have dialogues gives the rows that the plain form gives; nothing is cut in silence."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.dialogues import dialogue_rows
from traitgraph.compiler.ir.context import count_dialogues
from traitgraph.runtime.data.conversations import messages_of
from traitgraph.runtime.data.data_files import DataError
from traitgraph.runtime.data.dialogues import load_dialogues, overlaps, read_dialogues, read_scenarios, texts_of
from traitgraph.specs.folders.tables import table_of
from traitgraph.specs.jobs.params import VectorParams
from traitgraph.specs.jobs.refs import HubData, HubModel
from traitgraph.specs.source.hashing import digest_path

Rows = list[dict[str, Any]]
ROW = {"trait": "openness", "level": "high"}
TURNS = [
    {"role": "system", "content": "You are kind."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi!"},
    {"role": "user", "content": "Art?"},
    {"role": "assistant", "content": "I love it."},
]


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_messages(row: dict[str, Any]) -> dict[str, Any]:
    said = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["reply"]}]
    return {**rest(row), "messages": said}


def as_sharegpt(row: dict[str, Any]) -> dict[str, Any]:
    said = [{"from": "human", "value": row["prompt"]}, {"from": "gpt", "value": row["reply"]}]
    return {**rest(row), "conversations": said}


def rest(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("prompt", "reply")}


def write_csv(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


def write_parquet(path: Path, rows: Rows) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=3)
    return path


def write_saved(path: Path, rows: Rows) -> Path:
    from datasets import Dataset

    Dataset.from_list(rows).save_to_disk(path, num_shards=2)
    return path


def write_splits(path: Path, rows: Rows) -> Path:
    """Splits are folders, and no row says its own."""
    from datasets import Dataset, DatasetDict

    def of(split: str) -> Any:
        return Dataset.from_list(
            [{k: v for k, v in row.items() if k != "split"} for row in rows if row["split"] == split]
        )

    DatasetDict({"train": of("train"), "test": of("heldout")}).save_to_disk(path)
    return path


def with_labels(rows: Rows) -> Any:
    """Numbers in place of words, whose names stand in the features; one of them inside a column."""
    from datasets import ClassLabel, Dataset

    known = {name: sorted({row[name] for row in rows}) for name in ("trait", "split", "level")}
    coded = [{**row, **{name: words.index(row[name]) for name, words in known.items()}} for row in rows]
    made = Dataset.from_list([{**row, "meta": {"level": row.pop("level")}} for row in coded])
    labels = {name: ClassLabel(names=words) for name, words in known.items()}
    inner = {"level": labels.pop("level")}
    return made.cast(type(made.features)({**made.features, **labels, "meta": inner}))


FORMS: dict[str, Callable[[Path, Rows], Path]] = {
    "list.json": lambda path, rows: (path.write_text(json.dumps(rows, indent=1)), path)[1],
    "messages.jsonl": lambda path, rows: lines(path, [as_messages(row) for row in rows]),
    "sharegpt.json": lambda path, rows: (path.write_text(json.dumps([as_sharegpt(row) for row in rows])), path)[1],
    "alpaca.jsonl": lambda path, rows: lines(
        path, [{**rest(row), "instruction": row["prompt"], "input": "", "output": row["reply"]} for row in rows]
    ),
    "rows.csv": write_csv,
    "rows.parquet": write_parquet,
    "messages.parquet": lambda path, rows: write_parquet(path, [as_messages(row) for row in rows]),
    "saved": write_saved,
    "splits": write_splits,
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_gives_the_rows_of_the_plain_one(tmp_path: Path, name: str) -> None:
    rows = dialogue_rows()
    plain = read_dialogues(lines(tmp_path / "plain.jsonl", rows))
    path = FORMS[name](tmp_path / name, rows)
    found = read_dialogues(path, table=table_of(path))
    assert sorted(found) == sorted(plain)  # splits part the rows
    assert found == plain or name == "splits"
    assert all(isinstance(row.prompt, str) for row in found)


def test_a_field_map_reaches_inside(tmp_path: Path) -> None:
    row = {"meta": {"who": "Openness", "level": "high"}, "chat": [{"text": "Art?"}, {"text": "I love it."}]}
    fields = {"trait": "meta.who", "level": "meta.level", "prompt": "chat.0.text", "reply": "chat.-1.text"}
    (found,) = read_dialogues(lines(tmp_path / "d.jsonl", [row]), fields)
    assert (found.trait, found.level, found.prompt, found.reply) == ("openness", "high", "Art?", "I love it.")
    with pytest.raises(DataError, match=r"`chat\.2\.text` is missing"):
        read_dialogues(lines(tmp_path / "d.jsonl", [row]), {**fields, "prompt": "chat.2.text"})
    whole = {**ROW, "a.b": "Art?", "a": {"b": "Music?"}, "reply": "Yes."}
    assert read_dialogues(lines(tmp_path / "d.jsonl", [whole]), {"prompt": "a.b"})[0].prompt == "Art?"


@pytest.mark.parametrize("where", ["saved", "rows.parquet", "hub"])
def test_class_labels_are_read_by_their_names(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    """As `datasets` keeps them: numbers in the rows, names beside the rows."""
    rows, fields = dialogue_rows(), {"level": "meta.level"}
    plain, made = read_dialogues(lines(tmp_path / "plain.jsonl", rows)), with_labels(rows)
    monkeypatch.setattr("datasets.load_dataset", lambda *args, **options: made)
    path = tmp_path / where
    made.to_parquet(path) if where == "rows.parquet" else made.save_to_disk(path)
    if where == "hub":
        data = HubData(id="owner/labelled", revision="main", fields=fields)
        assert load_dialogues(make_context(VectorParams(model=HubModel(id="o/m", revision="main"))), data) == plain
        return
    assert read_dialogues(path, fields, table=table_of(path)) == plain
    assert count_dialogues(path, fields, table_of(path)) == count_dialogues(tmp_path / "plain.jsonl", {})


def test_a_row_without_its_label_is_told(tmp_path: Path) -> None:
    made = with_labels(dialogue_rows())
    without = made.map(lambda row: {"trait": -1}, load_from_cache_file=False)
    without.save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"row 1: `trait` must hold text, not -1, in \d+ rows"):
        read_dialogues(tmp_path / "saved", {"level": "meta.level"}, table="arrow")


@pytest.mark.parametrize("name", ["saved", "splits"])
def test_what_datasets_keeps_for_itself_is_no_part_of_a_saved_folder(tmp_path: Path, name: str) -> None:
    """`map` and `shuffle` leave files of their own beside the rows; a key must not change by them."""
    from datasets import load_from_disk

    path = FORMS[name](tmp_path / name, dialogue_rows())
    before, rows = digest_path(path), read_dialogues(path, table="arrow")
    load_from_disk(path).map(lambda row: {"reply": "Other."}).shuffle(seed=1)
    assert len(list(path.rglob("cache-*.arrow"))) >= 2
    assert (digest_path(path), read_dialogues(path, table="arrow")) == (before, rows)
    shard = next(path.rglob("data-*.arrow"))
    shard.rename(shard.with_name("cache-1.arrow"))
    state = shard.with_name("state.json")
    state.write_text(state.read_text().replace(shard.name, "cache-1.arrow"))
    assert read_dialogues(path, table="arrow") == rows
    named = digest_path(path)
    shard.with_name("cache-1.arrow").write_bytes(b"")
    assert digest_path(path) != named  # its rows lie there
    other = FORMS[name](tmp_path / "other" / name, dialogue_rows()).parent
    whole = digest_path(other)
    (other / name / "cache-2.arrow").write_bytes(b"")
    assert digest_path(other) != whole  # a folder of other things counts all that it holds


def test_the_last_message_is_the_reply_and_all_before_it_is_said(tmp_path: Path) -> None:
    (found,) = read_dialogues(lines(tmp_path / "d.jsonl", [{**ROW, "messages": TURNS}]))
    assert messages_of(found.prompt) == TURNS[:-1]
    assert found.reply == "I love it."
    assert str(found.prompt) == found.pair == "system: You are kind.\n\nuser: Hello.\n\nassistant: Hi!\n\nuser: Art?"
    with pytest.raises(TypeError, match="not JSON serializable"):  # as text only where somebody says so
        json.dumps(found._asdict())
    beside = {**ROW, "system": "You are kind.", "chat": TURNS[1:]}
    assert read_dialogues(lines(tmp_path / "d.jsonl", [beside]), {"messages": "chat"}) == [found]


def test_an_input_follows_the_instruction_after_a_blank_line(tmp_path: Path) -> None:
    row = {**ROW, "instruction": "Sum up.", "input": "Art is long.", "output": "Long.", "system": "Be brief."}
    (found,) = read_dialogues(lines(tmp_path / "d.jsonl", [row]))
    assert [each["content"] for each in messages_of(found.prompt)] == ["Be brief.", "Sum up.\n\nArt is long."]
    (found,) = read_dialogues(
        lines(tmp_path / "d.jsonl", [{**row, "output": "", "answer": "Long."}]), {"reply": "answer"}, "alpaca"
    )
    assert found.reply == "Long."


def test_the_form_decides_where_columns_of_two_stand(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "d.jsonl", [{**as_messages({**ROW, "prompt": "a", "reply": "b"}), "prompt": "c", "reply": "d"}]
    )
    with pytest.raises(DataError, match="columns of two forms: `messages` and `prompt` with `reply`"):
        read_dialogues(path)
    assert [read_dialogues(path, None, form)[0].reply for form in ("plain", "messages")] == ["d", "b"]
    assert read_dialogues(path, {"prompt": "prompt"})[0].reply == "d"


def test_scenes_may_end_with_the_user_or_with_a_reply(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", [{"messages": TURNS[:-1]}, {"messages": TURNS}, {"instruction": "Art?"}])
    first, second, third = read_scenarios(path)
    assert first.prompt == second.prompt
    assert third.prompt == "Art?"


def test_conversations_overlap_only_as_a_whole(tmp_path: Path) -> None:
    """The same last question after another beginning is another prompt."""
    other = [*TURNS[:2], {"role": "assistant", "content": "Good day."}, *TURNS[3:]]
    rows = read_dialogues(lines(tmp_path / "d.jsonl", [{**ROW, "messages": each} for each in (TURNS, other, TURNS)]))
    first, second, third = (texts_of([row], lambda row: True) for row in rows)
    assert not overlaps(first, second)
    assert overlaps(first, third)[0].same_reply


def test_cells_keep_line_breaks_and_an_empty_one_is_no_value(tmp_path: Path) -> None:
    reply = 'One, "two"\nthree\u2028four' + "x" * 200_000
    write_csv(tmp_path / "d.csv", [{**ROW, "prompt": "Art?", "reply": reply, "pair": "", "id": ""}] * 2)
    found = read_dialogues(tmp_path / "d.csv", table="csv")
    assert [(row.id, row.pair, row.reply) for row in found] == [("1", "Art?", reply), ("2", "Art?", reply)]
    write_csv(tmp_path / "d.csv", [{**ROW, "prompt": "a\nb", "reply": "c"}, {**ROW, "prompt": "a", "reply": ""}])
    with pytest.raises(DataError) as told:
        read_dialogues(tmp_path / "d.csv", table="csv")
    assert "d.csv:4:1: `reply` is empty" in str(told.value)


def test_a_fault_of_a_row_without_lines_names_its_number(tmp_path: Path) -> None:
    rows = [{**ROW, "prompt": "a", "reply": "b"}, *[{**ROW, "level": "some", "prompt": "a", "reply": "b"}] * 4]
    with pytest.raises(DataError, match=r"row 2: unknown level 'some', in 4 rows \(rows 2, 3, 4, \.\.\.\)"):
        read_dialogues(write_parquet(tmp_path / "d.parquet", rows), table="parquet")


def test_the_package_that_reads_a_table_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "d.parquet", dialogue_rows())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pyarrow, which reads it, is not installed \(pip install pyarrow\)"):
        read_dialogues(path, table="parquet")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("state.json", '{"_data_files": [{"filename": "../secret.arrow"}]}'),
        ("dataset_dict.json", '{"splits": ["../.."]}'),
        ("state.json", "[]"),
    ],
)
def test_a_saved_folder_names_files_of_its_own(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=r"leads out of the folder|does not list `_data_files`"):
        read_dialogues(tmp_path, table="arrow")


REAL = os.environ.get("TRAITGRAPH_REAL_DIALOGUES", "")
"""BIG5-CHAT's contexts with replies, which nobody may pass on."""


@pytest.mark.skipif(not REAL, reason="TRAITGRAPH_REAL_DIALOGUES names no file of real dialogues")
def test_real_dialogues_are_one_in_every_form(tmp_path: Path) -> None:
    names = {"prompt": "turn_0", "reply": "response_dexperts"}
    plain = read_dialogues(Path(REAL), names)
    assert len(plain) == 100
    rows = [{**row._asdict(), "split": "train" if number % 2 else "heldout"} for number, row in enumerate(plain)]
    wanted = sorted(read_dialogues(lines(tmp_path / "plain.jsonl", rows)))
    for name, write in FORMS.items():
        path = write(tmp_path / name, rows)
        assert sorted(read_dialogues(path, table=table_of(path))) == wanted, name
