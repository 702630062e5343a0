"""A group of a task folder through the command line: equal numbers from wherever one stands, all of it kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.cli.main import main

TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "Q: {{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"], do_sample: false, max_gen_toks: 4}}
filter_list:
  - {{name: strict, filter: [{{function: regex, regex_pattern: "#### ([a-z])"}}, {{function: take_first}}]}}
  - {{name: loose, filter: [{{function: regex, regex_pattern: "([a-zA-Z])"}}, {{function: take_first}}]}}
metric_list: [{{metric: exact_match}}]
"""
GROUP = "{group: both, task: [few, many], aggregate_metric_list: [{metric: exact_match, weight_by_size: false}]}"


def test_a_group_gives_equal_numbers_from_everywhere_and_keeps_what_was_asked_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other working folder holds files of the same names."""
    save_tiny_model(tmp_path / "model")
    tasks, elsewhere = tmp_path / "tasks", tmp_path / "elsewhere"
    for place, word in ((tasks, "own"), (elsewhere, "foreign")):
        place.mkdir()
        for name, count in (("few", 2), ("many", 4)):
            rows = [{"question": f"{word} {i}", "answer": "abcd"[i]} for i in range(count)]
            (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            (tasks / f"{name}.yaml").write_text(TASK.format(name=name))
    (tasks / "both.yaml").write_text(GROUP)
    spec = tmp_path / "s.yaml"
    benchmark = "{kind: lm_eval, task: both, folder: ./tasks, filters: [loose]}"
    spec.write_text(f"study: s\nmodel: ./model\nmethod: direct\nbenchmarks: [{benchmark}]\n")
    found = []
    for folder, store in ((tmp_path, "a"), (elsewhere, "b")):
        monkeypatch.chdir(folder)
        assert main(["run", str(spec), "--store", str(tmp_path / store)]) == 0
        assert "not pinned" not in capsys.readouterr().err
        assert main(["results", str(spec), "--store", str(tmp_path / store), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert {row["metric"] for row in found[0] if "exact_match" in row["metric"]} == {
        "exact_match.loose", "few.exact_match.loose", "many.exact_match.loose",
    }  # fmt: skip
    (answers,) = (tmp_path / "b" / "assess").glob("*/answers.jsonl")
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert {row["filter"] for row in rows} == {"strict", "loose"}
    kept = [row for row in rows if "raw" in row]
    assert [len(row["raw"][0]) for row in kept] == [1] * 6
    assert all("own" in row["prompts"][0] and isinstance(row["raw"][0][0], str) for row in kept)


def test_a_run_says_what_it_reads_as_it_stands_on_the_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model and the data of a built-in task; `traitgraph lock` names them too."""
    spec = tmp_path / "s.yaml"
    spec.write_text("study: s\nmodel: {id: owner/name}\nmethod: direct\nbenchmarks: [gsm8k]\n")
    assert main(["run", str(spec), "--store", str(tmp_path / "store"), "--max-gpu-hours", "0"]) == 2
    told = "not pinned, read as it stands today: data of lm-eval's gsm8k at main, owner/name at main"
    assert told in capsys.readouterr().err
    assert main(["lock", str(spec), "--store", str(tmp_path / "store")]) == 0
    sources = json.loads((tmp_path / "s.lock.json").read_text())["sources"]
    assert any("lm_eval" in str(source.get("harness")) for source in sources)
