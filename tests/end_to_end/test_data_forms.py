"""What a study is trained on is the same in whatever form its dialogues come; conversations reach the model whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.data.test_forms import as_messages, lines, write_csv, write_parquet
from tests.runtime.dialogues import dialogue_rows
from tests.tiny_model import CHAT_TEMPLATE, save_tiny_model
from traitgraph.cli.main import main

STUDY = """\
study: forms
model: ./model
traits: [extraversion]
levels: [high]
train: {method: sft, learning_rate: 1e-2, steps: 2, batch_size: 2, max_length: 256, lora: {rank: 4, alpha: 8}}
benchmarks: [reply_contrast]
arms:
  plain: {method: sft, data: plain.jsonl}
  messages: {method: sft, data: messages.jsonl}
  cells: {method: sft, data: cells.csv}
  columns: {method: sft, data: columns.parquet}
  turns: {method: sft, data: turns.jsonl}
"""
BEFORE = [
    {"role": "system", "content": "You are at home."},
    {"role": "user", "content": "Good morning!"},
    {"role": "assistant", "content": "Good morning to you."},
]


ONE_TURN = "{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}"
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
LOSES = CHAT_TEMPLATE.replace("in messages %}", "in messages if message['role'] != 'assistant' %}")


@pytest.mark.parametrize(
    ("template", "code", "said"),
    [
        (CHAT_TEMPLATE, 0, ""),
        (ONE_TURN + CHAT_TEMPLATE, 2, "/model refuses system, user, assistant, user: one turn\n"),
        (NO_SYSTEM + CHAT_TEMPLATE, 0, "that of a row stands at the head of the user's message\n"),
        (LOSES, 2, "leaves out a message of the assistant, in part or whole: 'Good morning to you.'\n"),
        ("{{ only_there() }}", 0, ""),
    ],
    ids=["takes it", "refuses turns", "refuses a system message", "loses a turn", "cannot be read here"],
)
def test_check_says_what_a_template_at_hand_does_with_a_conversation(
    template: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    Path("model/chat_template.jinja").write_text(template)
    spoken = [as_messages(row) for row in dialogue_rows()]
    lines(tmp_path / "messages.jsonl", spoken)
    rows = [{**row, "messages": [*BEFORE, *row["messages"]]} for row in spoken]
    lines(tmp_path / "turns.jsonl", [*spoken[:1], *rows[1:]])
    head, _, arms = STUDY.partition("arms:\n")
    kept = "".join(line for line in arms.splitlines(keepends=True) if "messages:" in line or "turns:" in line)
    Path("forms.yaml").write_text(f"{head}arms:\n{kept}")
    assert main(["check", "forms.yaml"]) == code
    found = [line for line in capsys.readouterr().err.splitlines(keepends=True) if "[TG03" in line]
    assert len(found) == bool(said), found
    assert not code or main(["run", "forms.yaml"]) == code
    assert not said or (": turns.jsonl: " in found[0] and found[0].endswith(said))


def test_each_form_trains_the_same_adapter_and_gives_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From plain relative paths; what stands before the last message is read, and makes another adapter."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    rows = dialogue_rows()
    spoken = [as_messages(row) for row in rows]
    lines(tmp_path / "plain.jsonl", rows)
    lines(tmp_path / "messages.jsonl", spoken)
    write_csv(tmp_path / "cells.csv", rows)
    write_parquet(tmp_path / "columns.parquet", rows)
    lines(tmp_path / "turns.jsonl", [{**row, "messages": [*BEFORE, *row["messages"]]} for row in spoken])
    Path("forms.yaml").write_text(STUDY)
    assert main(["check", "forms.yaml"]) == 0
    said = capsys.readouterr().err
    assert "messages.jsonl: 16 rows of the form `messages`\n" in said
    assert "plain.jsonl" not in said
    assert main(["plan", "forms.yaml", "--store", "store", "--json"]) == 0
    forms = json.loads(capsys.readouterr().out)["data_forms"]
    assert forms == {
        str(tmp_path / f"{name}.jsonl"): "16 rows of the form `messages`" for name in ("messages", "turns")
    }
    assert main(["run", "forms.yaml", "--store", "store"]) == 0
    page = Path("store/reports/forms/report.html").read_text()
    assert "turns.jsonl (16 rows of the form `messages`) " in page
    assert "plain.jsonl (" not in page
    trained = {
        each: json.loads((each / "training.json").read_text())["model_sees"] for each in Path("store/train").iterdir()
    }
    weights = {each: (each / "adapter" / "adapter_model.safetensors").read_bytes() for each in trained}
    assert len(trained) == 5  # a key holds the bytes of the file
    turned = [each for each, sees in trained.items() if "Good morning to you." in sees]
    assert len(turned) == 1
    assert all(each["content"] in trained[turned[0]] for each in BEFORE)
    assert len(set(weights.values())) == 2
    scores: dict[tuple[str, str], set[float]] = {}
    for answers in Path("store/assess").glob("*/answers.jsonl"):
        for row in map(json.loads, answers.read_text().splitlines()):
            scores.setdefault((row["prompt"], row["reply"]), set()).add(row["loglik"])
    assert {len(found) for found in scores.values()} == {1}  # whatever the form
    assert sum(prompt.startswith("system: You are at home.\n\nuser: Good morning!") for prompt, _ in scores) * 2 == len(
        scores
    )
