"""`check` refuses what a run would refuse: data that lack what the jobs of a study need, whatever its method."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from traitgraph.cli.main import main

Row = dict[str, str]
Check = Callable[[str, list[Row]], list[str]]

ROWS = [
    {"trait": "openness", "level": level, "split": split, "prompt": f"{split} {number}", "reply": f"{level} {number}"}
    for level in ("high", "low")
    for split in ("train", "heldout")
    for number in range(2)
]
HIGH, LOW = ([row for row in ROWS if row["level"] == level] for level in ("high", "low"))
HELD_OUT = [row for row in ROWS if row["split"] == "heldout"]

HEAD = "study: s\nmodel: smollm2-135m\n"
TASK = "benchmarks: [{kind: lm_eval, task: piqa}]\n"
OF_ROWS = HEAD + TASK + "traits: [openness]\ndata: rows.jsonl\n"
TRAIN = "train: {method: sft, learning_rate: 1e-4, steps: 2, instruction: '{trait} {level}'}\n"
PREFER = TRAIN.replace("sft", "dpo")
GENERATED = """\
traits: [openness]
method: sft
train: {method: sft, learning_rate: 1e-4, steps: 2}
data:
  generate:
    model: smollm2-135m
    scenarios: rows.jsonl
    combine: sum
    decoding: {temperature: 0, max_new_tokens: 8}
    expert: {model: smollm2-135m, instruction: Hi.}
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """What `traitgraph check` says of a study and its rows.jsonl, in order."""
    monkeypatch.chdir(tmp_path)

    def messages(spec: str, rows: list[Row]) -> list[str]:
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        Path("study.yaml").write_text(spec)
        code = main(["check", "study.yaml", "--json"])
        told = json.loads(capsys.readouterr().out)["diagnostics"]
        assert code == (2 if told else 0)
        return [each["message"] for each in told]

    return messages


@pytest.mark.parametrize(
    ("spec", "rows", "told"),
    [
        (OF_ROWS + TRAIN + "method: sft\n", LOW, "no training row for openness high"),
        (OF_ROWS + TRAIN + "method: {kind: sft, conditions: joint}\n", HIGH, "no training row for openness low"),
        (OF_ROWS + PREFER + "method: dpo\n", LOW, "no pair of replies, high and low, for openness, split train"),
        (
            OF_ROWS + PREFER + "method: {kind: dpo, conditions: joint}\n",
            HIGH,
            "no pair of replies, high and low, for openness, split train",
        ),
        (OF_ROWS + "method: {kind: steer, layer: 1, coefficient: 1}\n", HIGH, "no training row for openness low"),
        (OF_ROWS + "method: npti\ngamma: 1\n", HELD_OUT, "no question about openness"),
        (
            OF_ROWS + "method: {kind: prompt, style: demonstration, examples: 2}\n",
            ROWS[1:],
            "a prompt shows 2 replies of openness high, and the data hold 1",
        ),
        (HEAD + TASK + GENERATED, [], "the scenarios have no rows"),
    ],
    ids=["sft", "joint sft", "dpo", "joint dpo", "steer", "npti", "demonstration", "generate"],
)
def test_rows_that_a_job_would_lack_are_told(check: Check, spec: str, rows: list[Row], told: str) -> None:
    messages = check(spec, rows)
    assert any(told in message for message in messages), messages
    assert all(message.startswith("rows.jsonl: ") for message in messages)
    assert not check(spec, ROWS)


def test_a_pair_with_one_reply_at_both_levels_is_told(check: Check) -> None:
    spec = OF_ROWS.replace(TASK, "benchmarks: [reply_contrast]\n") + "method: direct\n"
    held = [{**row, "split": "heldout"} for row in ROWS]
    assert not check(spec, held)
    same = [
        {**held[0], "level": level, "reply": reply, "pair": "p"}
        for level, reply in (("high", "Yes."), ("low", " Yes. "))
    ]
    (told,) = check(spec, [*held, *same])
    assert "one held-out pair of openness with the same reply at both levels, which says nothing: 'p'" in told


def test_a_misspelt_trait_of_a_question_is_told_and_not_passed_over(check: Check) -> None:
    spec, questions = OF_ROWS + "method: npti\ngamma: 1\n", [{"prompt": "Parties?"}, {"prompt": "Art?"}]
    assert not check(spec, questions)
    assert check(spec, [*questions, {"prompt": "Worries?", "trait": "openess"}]) == ["unknown trait 'openess'"]


def test_a_lexicon_is_read_where_nothing_else_is(check: Check) -> None:
    Path("words.json").write_text('{"joy": "happy"}')
    spec = HEAD + "method: direct\nbenchmarks: [{kind: linguistic, lexicon: words.json}]\n"
    assert check(spec + "sampling: {max_new_tokens: 600}\n", []) == ["category 'joy': needs a list of words"]


def test_a_matrix_to_compare_with_is_read_before_anything_runs(check: Check) -> None:
    spec = HEAD + "traits: [openness]\nmethod: {kind: prompt, style: instruction}\nbenchmarks: [mini-ipip]\n"
    spec += "analyses: [{kind: trait_correlation, reference: human.json}]\n"
    eye = [[float(i == j) for i in range(5)] for j in range(5)]
    Path("human.json").write_text(json.dumps(eye))
    assert not check(spec, [])
    wrong: tuple[object, ...] = (
        {"a": []},
        eye[:4],
        [row[:4] for row in eye],
        [[1, 0.5, 0, 0, 0], *eye[1:]],
        [[1.5] * 5] * 5,
        "no",
    )
    for other in wrong:
        Path("human.json").write_text(json.dumps(other))
        assert [told[:35] for told in check(spec, [])] == ["human.json: must hold a symmetric 5"], other


def test_a_layer_that_the_model_does_not_have_is_told_from_its_configuration(check: Check) -> None:
    Path("own").mkdir()
    Path("own/tokenizer.json").write_text("{}")
    Path("own/model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # whole, without any tensor
    Path("own/config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    spec = OF_ROWS.replace("smollm2-135m", "./own") + "method: {kind: steer, layer: [1, 2, 3], coefficient: 1}\n"
    assert "'own' has no layer 3: it has 2" in check(spec, ROWS)
    assert not [told for told in check(spec.replace(", 3]", "]"), ROWS) if "layer" in told]
