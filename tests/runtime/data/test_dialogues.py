"""Dialogue rows: mapped fields, lines ended by line feeds only, every fault with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from traitgraph.runtime.data.data_files import DataError, NotJson
from traitgraph.runtime.data.dialogues import read_dialogues, reply_pairs, training_rows
from traitgraph.runtime.data.rows import DialogueError, json_rows

ROW = {"trait": "openness", "level": "high", "prompt": "Art?", "reply": "I love it."}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def told(path: Path, fields: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a file, without its folder."""
    with pytest.raises(DataError) as error:
        read_dialogues(path, fields)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def test_other_names_are_mapped_and_words_may_be_capitalised(tmp_path: Path) -> None:
    """Data sets call things otherwise: `train_output` for the reply, `Openness` for the trait, `test` for held out."""
    row = {"trait": "Openness", "level": "High", "train_input": "Art?", "train_output": "I love it.", "set": "test"}
    fields = {"prompt": "train_input", "reply": "train_output", "split": "set"}
    (found,) = read_dialogues(written(tmp_path / "d.jsonl", row), fields)
    assert (found.trait, found.level, found.prompt, found.reply) == ("openness", "high", "Art?", "I love it.")
    assert (found.split, found.pair, found.id) == ("heldout", "Art?", "1")


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    """A reply may hold a Unicode line separator; blank lines are skipped."""
    path = written(tmp_path / "d.jsonl", {**ROW, "reply": "one\u2028two\u0085three"}, "", ROW)
    assert [row.reply for row in read_dialogues(path)] == ["one\u2028two\u0085three", "I love it."]


def test_every_fault_is_told_with_its_line(tmp_path: Path) -> None:
    """All at once, with the value that is meant and its repair; a line that is no JSON does not hide those after it."""
    rows = {**ROW, "level": "medium"}, ROW, '{"trait"; 1}', {**ROW, "reply": " ", "trait": "openess"}, [1], '"text"'
    traits = "openness, conscientiousness, extraversion, agreeableness, neuroticism"
    assert told(written(tmp_path / "d.jsonl", *rows)) == [
        "d.jsonl:1:32: unknown level 'medium' (there are: high, low)",
        "d.jsonl:3:9: not JSON: expecting ':' delimiter",
        f"d.jsonl:4:11: unknown trait 'openess' (near: openness; there are: {traits})",
        """d.jsonl:4:66: `reply` must hold text, not " \"""",
        "d.jsonl:5:1: a row is a mapping of fields: {...}, in 2 rows (lines 5, 6)",
    ]


def test_a_misspelt_field_is_told_with_the_name_that_is_missing(tmp_path: Path) -> None:
    """It is renamed, or mapped as the fields of other people's data are."""
    row = {**ROW, "levle": "high", "answer": "No."}
    path = written(tmp_path / "d.jsonl", {key: row[key] for key in row if key not in ("level", "reply")})
    assert told(path, {"reply": "anser"}) == [
        "d.jsonl:1:50: `level` is missing (near: levle; rename it, or write: "
        "data: {path: d.jsonl, fields: {level: levle}})",
        "d.jsonl:1:68: `anser` is missing (near: answer; rename it, or write: "
        "data: {path: d.jsonl, fields: {reply: answer}})",
    ]


def test_fields_of_other_names_are_told_with_the_way_to_map_them(tmp_path: Path) -> None:
    path = written(tmp_path / "d.jsonl", {("question" if key == "prompt" else key): ROW[key] for key in ROW})
    line = "data: {path: d.jsonl, fields: {prompt: question}}"
    (fault,) = told(path)
    assert fault.endswith(f": `prompt` is missing (near: question; rename it, or write: {line})")
    two = written(
        tmp_path / "d.jsonl", {("question" if key == "prompt" else key): ROW[key] for key in ROW} | {"x": "y"}
    )
    assert told(two) == [
        "d.jsonl:1:1: `prompt` is missing (there are: trait, level, question, reply, x; "
        "if one of these is meant, write: data: {path: d.jsonl, fields: {prompt: NAME}})"
    ]


def test_one_cause_is_one_fault_with_the_number_of_its_rows(tmp_path: Path) -> None:
    renamed = {("response" if key == "reply" else key): ROW[key] for key in ROW}
    path = written(tmp_path / "d.jsonl", renamed, renamed, {**renamed, "level": "medium"}, "{", "{")
    faults = told(path)
    assert len(faults) == 3
    assert "`reply` is missing, in 3 rows (lines 1, 2, 3)" in faults[0]
    assert "fields: {reply: response}" in faults[0]
    assert "unknown level 'medium' (" in faults[1]
    assert "not JSON" in faults[2]
    assert ", in 2 rows (lines 4, 5)" in faults[2]


@pytest.mark.parametrize("field", ["input", "context"])
def test_a_field_that_is_a_part_of_what_is_asked_is_not_lost(tmp_path: Path, field: str) -> None:
    """Instruction data keep a text to work on beside the instruction; an empty one says nothing."""
    row = {"trait": "openness", "level": "high", "instruction": "Sum up.", "output": "Art.", field: "Art is long."}
    fields = {"prompt": "instruction", "reply": "output"}
    (fault,) = told(written(tmp_path / "d.jsonl", row), fields)
    assert f"`{field}` is a part of what is asked, and is not read" in fault
    assert ("with: data: {path: d.jsonl, form: alpaca})" in fault) is (field == "input")
    assert len(read_dialogues(written(tmp_path / "d.jsonl", {**row, field: ""}), fields)) == 1


def test_a_table_of_another_name_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    path.write_text("trait,level,prompt,reply\n" + 30 * "openness,high,Art?,Yes.\n")
    assert told(path) == [
        "d.txt:1:1: not JSON: expecting value "
        "(write one object a line: {...}; the names of tables end in .csv or .parquet)"
    ]


def test_a_slip_in_a_field_that_may_be_left_out_is_told(tmp_path: Path) -> None:
    """Else held-out rows would be trained on without a word; fields of other names are ignored."""
    rows = {**ROW, "splt": "heldout"}, {**ROW, "pairs": "7"}, {**ROW, "split": "test", "source": "mine", "pair_of": 2}
    assert told(written(tmp_path / "d.jsonl", *rows)) == [
        "d.jsonl:1:89: unknown field 'splt' (near: split)",
        "d.jsonl:2:90: unknown field 'pairs' (near: pair)",
    ]


def test_many_faults_are_counted(tmp_path: Path) -> None:
    faults = told(written(tmp_path / "d.jsonl", *[{**ROW, "level": f"l{number}"} for number in range(1234)]))
    assert len(faults) == 21
    assert faults[-1] == "d.jsonl: and 1,214 more faults"


def test_one_json_document_that_is_no_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"rows": [ROW, ROW]}, indent=1))
    assert told(path) == ["d.jsonl: one JSON document, not rows (write one object a line: {...}, or a list of them)"]


def test_other_encodings_than_utf8_are_told_with_their_byte(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n{\xff}")
    assert told(path) == ["d.jsonl:2:2: byte 0xff is not UTF-8 (save the file as UTF-8)"]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode())
    assert len(read_dialogues(path)) == 1


def test_pairs_join_the_levels_of_one_prompt(tmp_path: Path) -> None:
    """A reply without a partner is left out; without any pair there is nothing to compare."""
    path = written(tmp_path / "d.jsonl", ROW, {**ROW, "level": "low", "reply": "No."}, {**ROW, "prompt": "Music?"})
    (pair,) = reply_pairs(read_dialogues(path), "openness", "train")
    assert (pair.prompt, pair.replies) == ("Art?", {"high": "I love it.", "low": "No."})
    with pytest.raises(DialogueError, match="no pair of replies, high and low, for openness, split heldout"):
        reply_pairs(read_dialogues(path), "openness", "heldout")


def test_several_replies_to_one_prompt_are_several_pairs(tmp_path: Path) -> None:
    """In file order, equal replies once; none is dropped in silence, and one without a partner is left out."""
    low = {**ROW, "level": "low"}
    rows = (
        ROW,
        {**ROW, "reply": "Always."},
        ROW,
        {**low, "reply": "No."},
        {**ROW, "reply": "Yes."},
        {**low, "reply": "Never."},
    )
    pairs = reply_pairs(read_dialogues(written(tmp_path / "d.jsonl", *rows)), "openness", "train")
    assert [(pair.pair, *pair.replies.values()) for pair in pairs] == [
        ("Art?", "I love it.", "No."),
        ("Art? #2", "Always.", "Never."),
    ]


def test_training_rows_are_those_of_one_trait_level_and_split(tmp_path: Path) -> None:
    """Held-out rows are never trained on."""
    path = written(
        tmp_path / "d.jsonl", {**ROW, "split": "heldout"}, {**ROW, "prompt": "Music?"}, {**ROW, "level": "low"}
    )
    assert [row.prompt for row in training_rows(read_dialogues(path), "openness", "high")] == ["Music?"]


def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    """JSON can hold it, and no file, model or terminal can take it."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "reply": "b \\ud800"}\n{"prompt": "a", "reply": "b \\ud83d\\ude00"}\n')
    first, second = json_rows(file)
    assert isinstance(first.value, NotJson)
    assert "without its other half" in first.value.reason
    assert second.value == {"prompt": "a", "reply": "b \N{GRINNING FACE}"}
