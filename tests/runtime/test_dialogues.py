"""Dialogue rows: mapped fields, lines ended by line feeds only, every fault with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from traitgraph.runtime.dialogues import DialogueError, read_dialogues, reply_pairs, training_rows

ROW = {"trait": "openness", "level": "high", "prompt": "Art?", "reply": "I love it."}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows))
    return path


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
    """All faulty rows at once: an unknown level, an empty reply, an unknown trait."""
    path = written(
        tmp_path / "d.jsonl", {**ROW, "level": "medium"}, ROW, {**ROW, "reply": " "}, {**ROW, "trait": "wit"}
    )
    with pytest.raises(DialogueError) as error:
        read_dialogues(path)
    traits = "openness, conscientiousness, extraversion, agreeableness, neuroticism"
    assert str(error.value).splitlines() == [
        "d.jsonl:1: level must be one of high, low, not 'medium'",
        "d.jsonl:3: field 'reply' must hold text, not ' '",
        f"d.jsonl:4: trait must be one of {traits}, not 'wit'",
    ]


def test_broken_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(DialogueError, match=r"d.jsonl:2: not JSON: .* at column 9"):
        read_dialogues(written(tmp_path / "d.jsonl", ROW, '{"trait"; 1}'))


def test_pairs_join_the_levels_of_one_prompt(tmp_path: Path) -> None:
    """A reply without a partner is left out; without any pair there is nothing to compare."""
    path = written(tmp_path / "d.jsonl", ROW, {**ROW, "level": "low", "reply": "No."}, {**ROW, "prompt": "Music?"})
    (pair,) = reply_pairs(read_dialogues(path), "openness", "train")
    assert (pair.prompt, pair.high, pair.low) == ("Art?", "I love it.", "No.")
    with pytest.raises(DialogueError, match="no pair of a high and a low reply for openness, split heldout"):
        reply_pairs(read_dialogues(path), "openness", "heldout")


def test_training_rows_are_those_of_one_trait_level_and_split(tmp_path: Path) -> None:
    """Held-out rows are never trained on."""
    path = written(
        tmp_path / "d.jsonl", {**ROW, "split": "heldout"}, {**ROW, "prompt": "Music?"}, {**ROW, "level": "low"}
    )
    assert [row.prompt for row in training_rows(read_dialogues(path), "openness", "high")] == ["Music?"]
