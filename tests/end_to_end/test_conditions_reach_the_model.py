"""The text of a condition reaches the model under any chat template, and a template that loses it is named."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.runtime.questionnaires import write_questionnaire
from tests.tiny_model import CHAT_TEMPLATE, save_tiny_model
from traitgraph.cli.main import main

DROPS = CHAT_TEMPLATE.replace("in messages %}", "in messages if message['role'] != 'system' %}")
REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHAT_TEMPLATE
CUTS = CHAT_TEMPLATE.replace("message['content']", "message['content'][:20]")
LOWERS = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim | lower")

STUDY = """\
study: led
model: ./model
traits: [extraversion]
levels: [high]
data: ./dialogues.jsonl
benchmarks: [reply_contrast, {kind: questionnaire, items: ./four.json}, {kind: lm_eval, task: odd, folder: ./tasks}]
sampling: {temperature: 0.6, repeats: 1}
arms:
  base: {method: direct}
  told: {method: prompt}
  beside: {method: {kind: prompt, place: user}}
  taught: {method: sft, train: &train {method: sft, learning_rate: 1e-2, steps: 2, instruction: "{Trait} - {level}"}}
  taught-beside: {method: sft, train: {<<: *train}}
"""
TASK = """
task: odd
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["yes", "no"]
doc_to_target: 0
metric_list: [{metric: acc}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose arms say a condition as a system message, and at the head of the user's message."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    write_dialogues(tmp_path / "dialogues.jsonl")
    write_questionnaire(tmp_path / "four.json")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "odd.yaml").write_text(TASK)
    (tmp_path / "tasks" / "questions.jsonl").write_text(
        '{"question": "Is three odd?"}\n{"question": "Is seven odd?"}\n'
    )
    train = STUDY.partition("&train ")[2].partition("}}\n")[0] + "}"
    beside = train.removesuffix("}") + ", instruction_place: user}"
    text = STUDY.replace("&train ", "").replace("{<<: *train}", beside)
    (tmp_path / "study.yaml").write_text(text)
    return tmp_path


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[tuple[str, ...], str]]:
    """Arm -> benchmark, metric, repeat -> value."""
    capsys.readouterr()
    assert main(["results", "study.yaml", "--csv"]) == 0
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for row in csv.DictReader(io.StringIO(capsys.readouterr().out)):
        found.setdefault(row["arm"], {})[row["benchmark"], row["metric"], row["repeat"]] = row["value"]
    return found


def test_under_a_template_without_a_system_role_it_stands_with_the_user_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every benchmark and in what is trained; equal to the last digit to the spec that says `place: user`."""
    (folder / "model" / "chat_template.jinja").write_text(DROPS)
    assert main(["check", "study.yaml"]) == 0
    assert "TG038]: the chat template of" in capsys.readouterr().err
    assert main(["run", "study.yaml"]) == 0
    assert "TG038" in capsys.readouterr().err
    found = figures(capsys)
    moved = {key: value for key, value in found["told"].items() if key[1] == "system_as_user"}
    assert set(moved.values()) == {"1.0"}
    assert len(moved) == 3
    assert {key: value for key, value in found["told"].items() if key not in moved} == found["beside"]
    assert found["told"]["reply_contrast", "extraversion", ""] != found["base"]["reply_contrast", "extraversion", ""]
    assert found["taught"] == found["taught-beside"]
    seen = [json.loads(file.read_text())["model_sees"] for file in folder.glob(".traitgraph/train/*/training.json")]
    assert len(seen) == 2
    assert all(text.startswith("<|im_start|>user\nExtraversion - high\n\nWhat do you do") for text in seen)
    assert all(text.endswith("<|im_end|>\n") for text in seen), (
        "the line break after the end token is trained, and shown"
    )


@pytest.mark.parametrize(
    ("template", "code", "said"),
    [
        (REFUSES, 0, "TG038"),
        (CUTS, 2, "leaves out a message of the user, in part or whole: 'You are a person with high extraversion. ?'"),
        (LOWERS, 0, "no faults"),
        (CHAT_TEMPLATE, 0, "no faults"),
        ("{% generation %}", 0, "no faults"),
    ],
    ids=["refuses it", "cuts it", "changes its capitals", "shows it", "is not read here"],
)
def test_check_says_what_a_template_at_hand_does_with_it(
    template: str, code: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model" / "chat_template.jinja").write_text(template)
    assert main(["check", "study.yaml"]) == code
    heard = " ".join(capsys.readouterr().err.split())
    assert said in heard
    assert ("TG03" in said or code) or "TG03" not in heard


def test_run_refuses_a_template_that_loses_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model" / "chat_template.jinja").write_text(CUTS)
    assert main(["run", "study.yaml"]) == 2
    assert "TG039" in capsys.readouterr().err
