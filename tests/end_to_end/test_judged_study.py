"""A study whose free answers are judged, over HTTP and by a local model, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.judge_server import judge_server
from tests.runtime.questionnaires import write_questionnaire
from tests.tiny_model import save_tiny_model

from .commands import CommandLine

KEY = "a-secret-of-the-test"
STUDY = """\
study: judged
model: ./model
traits: [extraversion]
levels: [high]
benchmarks:
  - kind: questionnaire
    items: ./four.json
    mode: interview
    judge: {{url: "{url}", model: big, key_from: JUDGE_KEY}}
  - {{kind: open_questions, name: local, questions: ./questions.jsonl, judge: {{local: ./model}}}}
  - {{kind: open_questions, questions: ./questions.jsonl, judge: {{url: "{url}", model: big, key_from: JUDGE_KEY}}}}
sampling: {{temperature: 0.6, repeats: 2, max_new_tokens: 5}}
arms:
  base: {{method: direct}}
  prompt: {{method: prompt}}
"""


def reply(prompt: str) -> str:
    return "trait: 4\nfluency: 3" if "fluency: NUMBER" in prompt else "4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_questionnaire(tmp_path / "four.json")
    rows = [{"trait": "extraversion", "prompt": "What do you do at a party?"}]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_tiny_model(tmp_path / "model")
    return tmp_path


def test_a_judged_study_runs_and_tells_its_key_to_nobody(
    traitgraph: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by the name of the variable, run once it is set, done the second time; the key stands in no file."""
    with judge_server(reply) as server:
        (folder / "study.yaml").write_text(STUDY.format(url=server.url))
        monkeypatch.delenv("JUDGE_KEY", raising=False)
        assert traitgraph("check", "study.yaml", cwd=folder).returncode == 0
        assert traitgraph("plan", "study.yaml", cwd=folder).returncode == 0
        refused = traitgraph("run", "study.yaml", cwd=folder)
        assert refused.returncode == 2
        assert "export JUDGE_KEY=..." in refused.stderr
        assert not server.bodies
        monkeypatch.setenv("JUDGE_KEY", KEY)
        done = traitgraph("run", "study.yaml", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert set(server.authorizations) == {f"Bearer {KEY}"}
        asked = len(server.bodies)
        again = traitgraph("run", "study.yaml", cwd=folder)
        assert "0 to run" in again.stderr
        assert len(server.bodies) == asked
    printed = traitgraph("results", "study.yaml", "--csv", cwd=folder).stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    scores = {float(row["value"]) for row in rows if row["benchmark"] == "four" and row["metric"] == "extraversion"}
    assert scores == {3.0}  # 4 for a + item and for a - item
    assert {row["metric"] for row in rows if row["benchmark"] == "local"} >= {"refusals", "parse_failures"}
    told = [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert not told
    assert KEY not in done.stderr + done.stdout + printed


def test_rows_of_open_questions_are_checked_before_a_run(traitgraph: CommandLine, folder: Path) -> None:
    """A row without a trait is named with its line."""
    (folder / "questions.jsonl").write_text('{"prompt": "What do you do at a party?"}\n')
    (folder / "study.yaml").write_text(STUDY.format(url="http://127.0.0.1:9/v1"))
    checked = traitgraph("check", "study.yaml", cwd=folder)
    assert "error[TG212]: `trait` is missing\n --> questions.jsonl:1:1\n" in checked.stderr
    assert checked.returncode == 2
    assert traitgraph("run", "study.yaml", cwd=folder).returncode == 2
