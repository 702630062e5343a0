"""What is measured was not learnt from: held-out rows that stand in training are found before anything runs.

And what the files of a study tell of its jobs is found then too, also where jobs will write the rows themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from traitgraph.cli.main import main

Row = dict[str, str]


class Told(NamedTuple):
    """What `check` says: its exit code, and code, severity and message of each block."""

    exit: int
    blocks: list[tuple[str, str, str]]


Check = Callable[..., Told]

HEAD = """\
study: s
model: smollm2-135m
traits: [openness]
train: {method: sft, learning_rate: 1e-4, steps: 2}
benchmarks: [reply_contrast]
"""
SFT = HEAD + "data: rows.jsonl\nmethod: sft\n"
STEER = HEAD.replace("train:", "# train:") + "data: rows.jsonl\nmethod: {kind: steer, layer: 1, coefficient: 1}\n"
SHOWN = HEAD.replace("train:", "# train:") + (
    "data: rows.jsonl\nmethod: {kind: prompt, style: demonstration, examples: 1}\n"
)
NPTI = HEAD.replace("train:", "# train:") + "data: rows.jsonl\nmethod: npti\ngamma: 1\n"
ELSEWHERE = HEAD.replace("[reply_contrast]", "[{kind: reply_contrast, data: other.jsonl}]") + (
    "data: rows.jsonl\nmethod: sft\n"
)
ASKED = HEAD.replace(
    "[reply_contrast]", "[{kind: open_questions, questions: other.jsonl, judge: {local: smollm2-135m}}]"
)
WRITTEN = (
    HEAD
    + """\
method: sft
data:
  generate:
    model: smollm2-135m
    scenarios: scenes.jsonl
    combine: sum
    decoding: {temperature: TEMPERATURE, max_new_tokens: 8}
    expert: {model: smollm2-135m, instruction: Hi.}
"""
)


STEERED = "{kind: steer, layer: 1, coefficient: 1, read_out: last_prompt}"


def rows(split: str, *prompts: str, reply: str = "", trait: str = "openness") -> list[Row]:
    return [
        {
            "trait": trait,
            "level": level,
            "split": split,
            "prompt": prompt,
            "reply": f"{level} {reply or split} {prompt}",
        }
        for prompt in prompts
        for level in ("high", "low")
    ]


def scenes(*places: tuple[str, str]) -> list[Row]:
    return [{"prompt": prompt, "split": split} for split, prompt in places]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    monkeypatch.chdir(tmp_path)

    def told(spec: str, **files: list[Row]) -> Told:
        for name, found in files.items():
            Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
        Path("study.yaml").write_text(spec)
        code = main(["check", "study.yaml", "--json"])
        blocks = json.loads(capsys.readouterr().out)["diagnostics"]
        return Told(code, [(each["code"], each["severity"], each["message"]) for each in blocks])

    return told


LEAK = [*rows("train", "a", "b", reply="x"), *rows("test", "c", "b", reply="x")]


@pytest.mark.parametrize("spec", [SFT, STEER, SHOWN], ids=["training", "steering", "demonstrations"])
def test_held_out_rows_that_stand_in_training_are_refused_with_both_lines(check: Check, spec: str) -> None:
    message = "2 held-out rows stand in training too, prompt and reply: line 7 and line 3, line 8 and line 4"
    assert check(spec, rows=LEAK) == (2, [("TG226", "error", message)])


def test_blanks_and_the_encoding_of_accents_hide_no_leak(check: Check) -> None:
    trained = [{**row, "prompt": f"caf\u00e9 {row['prompt']}"} for row in LEAK[:4]]
    padded = [{**row, "prompt": f" cafe\u0301  {row['prompt']}\n", "reply": row["reply"] + " "} for row in LEAK[4:]]
    found = check(SFT, rows=[*trained, *padded])
    assert (found.exit, found.blocks[0][0]) == (2, "TG226")


def test_rows_of_another_file_and_their_lines_are_compared(check: Check) -> None:
    found = check(ELSEWHERE, rows=LEAK[:4], other=LEAK[4:])
    message = "2 held-out rows stand in training too, prompt and reply: line 3 and line 3 of rows.jsonl, line 4 and line 4 of rows.jsonl"  # noqa: E501
    assert found == (2, [("TG226", "error", message)])


@pytest.mark.parametrize("spec", [SFT, NPTI], ids=["training", "neurons"])
def test_a_prompt_in_both_splits_is_a_warning(check: Check, spec: str) -> None:
    found = check(spec, rows=[*rows("train", "a", "b"), *rows("test", "b", "c")])
    message = "2 held-out prompts stand in training too: line 5 and line 3, line 6 and line 3"
    assert found == (0, [("TG227", "warning", message)])


def test_open_questions_that_were_trained_on_are_a_warning(check: Check) -> None:
    asked = [{"prompt": "a", "trait": "openness"}, {"prompt": "z", "trait": "openness"}]
    found = check(ASKED + "data: rows.jsonl\nmethod: sft\n", rows=rows("train", "a", "b"), other=asked)
    assert found == (
        0,
        [("TG227", "warning", "1 held-out prompt stands in training too: line 1 and line 1 of rows.jsonl")],
    )


def test_rows_of_traits_that_nothing_is_trained_on_are_no_leak(check: Check) -> None:
    others = [{**row, "trait": "neuroticism"} for row in LEAK[:4]]
    assert check(SFT, rows=[*others, *rows("train", "z"), *LEAK[4:]]) == (0, [])


def test_splits_that_share_nothing_are_not_spoken_of(check: Check) -> None:
    assert check(SFT, rows=[*rows("train", "a", "b"), *rows("test", "c")]) == (0, [])


@pytest.mark.parametrize(("temperature", "code"), [("0", "TG226"), ("1", "TG227")])
def test_scenes_in_both_splits_are_told_before_dialogues_are_written_to_them(
    check: Check, temperature: str, code: str
) -> None:
    """Greedy decoding writes the same reply to the same scene, so its rows would be the same."""
    both = scenes(("train", "a"), ("test", "a"), ("test", "b"))
    found = check(WRITTEN.replace("TEMPERATURE", temperature), scenes=both)
    assert [block[0] for block in found.blocks] == [code]
    assert found.exit == (2 if code == "TG226" else 0)


@pytest.mark.parametrize(
    ("spec", "written", "told"),
    [
        (WRITTEN, [("train", "a")], "no pair of replies, high and low, for openness, split heldout"),
        (WRITTEN, [("test", "a")], "no training row for openness high"),
        (WRITTEN.replace("    combine", "    limit: 1\n    combine"), [("train", "a"), ("test", "b")], "split heldout"),
        (
            WRITTEN.replace("method: sft\n", "method: {kind: prompt, style: demonstration, examples: 2}\n", 1)
            .replace("train: {method: prompt", "# {").replace("train:", "# train:"),
            [("train", "a"), ("test", "b")],
            "a prompt shows 2 replies of openness high, and the data hold 1",
        ),
        (
            WRITTEN.replace("method: sft\n", f"method: {STEERED}\n", 1).replace("train:", "# train:"),
            [("train", "a"), ("test", "b")],
            "`read_out: last_prompt` needs prompts that differ by level",
        ),
        (WRITTEN.replace("steps: 2", "steps: 2, validation: {share: 0.5, every: 1}"),
         [("train", "a"), ("test", "b")], "too few to hold some back"),
    ],
    ids=["no held-out scene", "no training scene", "beyond the limit", "demonstrations", "prompts", "validation"],
)  # fmt: skip
def test_what_dialogues_to_be_written_will_lack_is_told_of_their_scenes(
    check: Check, spec: str, written: list[tuple[str, str]], told: str
) -> None:
    found = check(spec.replace("TEMPERATURE", "0"), scenes=scenes(*written))
    assert found.exit == 2
    assert any(told in message and message.startswith("scenes.jsonl: ") for _, _, message in found.blocks), found


@pytest.mark.parametrize(
    ("spec", "found", "told"),
    [
        (
            STEER.replace("coefficient: 1}", "coefficient: 1, read_out: last_prompt}"),
            rows("train", "a", "b"),
            "prompts",
        ),
        (STEER.replace("coefficient: 1}", "coefficient: 1, read_out: prompt}"), rows("train", "a", "b"), "prompts"),
        (STEER, [{**row, "reply": "the same"} for row in rows("train", "a", "b")], "replies"),
    ],
)
def test_a_direction_between_equal_texts_is_refused(check: Check, spec: str, found: list[Row], told: str) -> None:
    answer = check(spec, rows=[*found, *rows("test", "z")])
    assert answer.exit == 2
    assert f"needs {told} that differ by level; openness has the same at both" in answer.blocks[0][2]


def test_rows_too_few_to_hold_some_back_are_told(check: Check) -> None:
    spec = SFT.replace("steps: 2", "steps: 2, validation: {share: 0.5, every: 1}")
    answer = check(spec, rows=[*rows("train", "a"), *rows("test", "z")])
    assert answer.exit == 2
    assert "1 rows with 1 different prompts are too few to hold some back" in answer.blocks[0][2]
