"""The smaller commands, on a finished tiny study."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from .commands import CommandLine

pytestmark = pytest.mark.xdist_group("tiny-study")


def test_select_reduces_results_and_plan(traitgraph: CommandLine, undisturbed: Path) -> None:
    words = ("study.yaml", "--store", undisturbed, "--select", "arm=vectors,alpha>0.5")
    rows = list(csv.DictReader(io.StringIO(traitgraph("results", *words).stdout)))
    assert {row["alpha"] for row in rows} == {"1"}
    plan = json.loads(traitgraph("plan", *words, "--json").stdout)
    assert [arm["name"] for arm in plan["arms"]]


@pytest.mark.parametrize("name", ["plan", "run"])
def test_after_a_selection_the_report_of_all_that_there_is_comes_next(
    traitgraph: CommandLine, undisturbed: Path, name: str
) -> None:
    told = traitgraph(name, "study.yaml", "--store", undisturbed, "--select", "arm=vectors").stderr
    following = re.search("^next: traitgraph (report .*?)( {4}.*)?$", told, re.MULTILINE)
    assert following
    assert traitgraph(*shlex.split(following[1])).returncode == 0


def test_a_wrong_selector_exits_2_with_the_names_that_there_are(traitgraph: CommandLine, undisturbed: Path) -> None:
    refused = traitgraph("results", "study.yaml", "--store", undisturbed, "--select", "trate=openness")
    assert refused.returncode == 2
    assert "trait" in refused.stderr


@pytest.mark.parametrize("form", ["mermaid", "dot", "json"])
def test_graph_prints_every_form(traitgraph: CommandLine, undisturbed: Path, form: str) -> None:
    printed = traitgraph("graph", "study.yaml", "--store", undisturbed, "--format", form)
    assert printed.returncode == 0
    assert "train" in printed.stdout


def test_compile_prints_the_form_after_a_pass(traitgraph: CommandLine) -> None:
    printed = traitgraph("compile", "study.yaml", "--after", "share_equal_jobs")
    assert printed.returncode == 0
    assert "share_equal_jobs" in printed.stdout
    assert traitgraph("compile", "study.yaml", "--after", "share_equal_job").returncode == 2


def test_logs_finds_the_log_of_a_job_by_its_label(traitgraph: CommandLine, undisturbed: Path) -> None:
    printed = traitgraph("logs", "study.yaml", "train extraversion high", "--store", undisturbed)
    assert printed.returncode == 0
    assert "train extraversion high" in printed.stdout


def test_logs_prefers_the_job_of_the_spec_to_one_of_other_values(
    traitgraph: CommandLine, undisturbed: Path, study_folder: Path, tmp_path: Path
) -> None:
    """A later run with overrides has jobs of the same labels; a spec that has not run is told so."""
    store = tmp_path / "store"
    shutil.copytree(undisturbed, store)
    (first,) = (store / "runs").iterdir()
    later = shutil.copytree(first, store / "runs" / "later")
    table = json.loads((later / "table.json").read_text())
    keys = {row["key"]: f"{number:032x}" for number, row in enumerate(table["rows"])}
    text = re.sub("[0-9a-f]{32}", lambda key: keys.get(key[0], key[0]), (later / "table.json").read_text())
    (later / "table.json").write_text(text)
    later.touch()
    asked = ("train extraversion high", "--store", store)
    assert str(first) in traitgraph("logs", "study.yaml", *asked).stderr
    assert str(later) in traitgraph("logs", "study.yaml", f"{0:032x}", "--store", store).stderr
    other = study_folder / "other.yaml"
    other.write_text((study_folder / "study.yaml").read_text().replace("steps: ", "steps: 1"))
    told = traitgraph("logs", "other.yaml", *asked).stderr
    other.unlink()
    assert told.startswith("note: the study ran with other values then")


def test_logs_hold_our_words_alone(undisturbed: Path) -> None:
    """Each job with its time, what it says of itself, and how long it took: no advice of libraries to their authors."""
    logs = [log.read_text() for log in undisturbed.glob("runs/*/logs/*.log")]
    assert all(line.startswith(("--- ", "    ")) for log in logs for line in log.splitlines())
    assert sum(log.count("    done in ") for log in logs) == sum(log.count("--- ") for log in logs)
    assert any("    loss " in log for log in logs)


def test_logs_finds_the_logs_of_a_selection(traitgraph: CommandLine, undisturbed: Path) -> None:
    printed = traitgraph("logs", "study.yaml", "--select", "kind=vector", "--store", undisturbed)
    assert printed.returncode == 0
    assert "vector extraversion high" in printed.stdout
    for words in ([], ["train", "--select", "kind=vector"], ["--select", "trait=warmth"]):
        assert traitgraph("logs", "study.yaml", *words, "--store", undisturbed).returncode == 2


def test_verify_reads_a_healthy_store(traitgraph: CommandLine, undisturbed: Path) -> None:
    verified = traitgraph("verify", "--store", undisturbed)
    assert verified.returncode == 0
    assert "0 damaged" in verified.stderr


def test_a_saved_plan_runs_exactly_or_refuses(traitgraph: CommandLine, study_folder: Path, tmp_path: Path) -> None:
    """A plan that is changed by hand, or whose files have changed, is refused with the reason."""
    plan = tmp_path / "plan.json"
    store = tmp_path / "store"
    saved = traitgraph("plan", "study.yaml", "--store", store, "-o", plan)
    assert saved.returncode == 0, saved.stderr
    changed = json.loads(plan.read_text(encoding="utf-8"))
    changed["table"]["study"] = "another"
    (tmp_path / "changed.json").write_text(json.dumps(changed), encoding="utf-8")
    refused = traitgraph("run", tmp_path / "changed.json", "--store", store)
    assert refused.returncode == 2
    assert "changed after it was saved" in refused.stderr
    assert not store.exists()


def test_a_saved_plan_with_nothing_to_do_refuses_when_a_result_is_gone(
    traitgraph: CommandLine, undisturbed: Path, tmp_path: Path
) -> None:
    store, plan = tmp_path / "store", tmp_path / "plan.json"
    shutil.copytree(undisturbed, store)
    assert traitgraph("plan", "study.yaml", "--store", store, "-o", plan).returncode == 0
    assert traitgraph("run", plan, "--store", store).returncode == 0
    gone = min((store / "assess").iterdir())
    shutil.rmtree(gone)
    refused = traitgraph("run", plan, "--store", store)
    assert refused.returncode == 2
    assert f"no longer holds what the plan counts on: assess {gone.name[:8]}" in refused.stderr


def test_a_run_without_workers_is_refused(traitgraph: CommandLine, undisturbed: Path) -> None:
    refused = traitgraph("run", "study.yaml", "--store", undisturbed, "--workers", "0")
    assert refused.returncode == 2
    assert "--workers" in refused.stderr


def test_max_gpu_hours_does_not_stop_what_has_run(traitgraph: CommandLine, undisturbed: Path) -> None:
    ran = traitgraph("run", "study.yaml", "--store", undisturbed, "--max-gpu-hours", "0.5")
    assert ran.returncode == 0


def test_max_gpu_hours_refuses_before_anything_starts(traitgraph: CommandLine, tmp_path: Path) -> None:
    spec = Path(__file__).parents[2] / "examples" / "alpha_sweep.yaml"
    refused = traitgraph("run", spec, "--store", tmp_path / "store", "--max-gpu-hours", "0.5")
    assert refused.returncode == 2
    assert "GPU hours on a100, the limit is 0.5" in refused.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("hours", ["-1", "nan"])
def test_max_gpu_hours_is_a_number_from_0_on(traitgraph: CommandLine, undisturbed: Path, hours: str) -> None:
    refused = traitgraph("run", "study.yaml", "--store", undisturbed, f"--max-gpu-hours={hours}")
    assert refused.returncode == 2
    assert "--max-gpu-hours takes a number from 0 on" in refused.stderr


def test_schema_is_json_and_explain_knows_every_code(traitgraph: CommandLine) -> None:
    assert json.loads(traitgraph("schema").stdout)["properties"]["study"]
    assert traitgraph("explain", "TG101").stdout.startswith("TG101")
    assert traitgraph("explain", "TG999").returncode == 2


@pytest.mark.parametrize("command", ["wait", "cancel", "retry"])
def test_slurm_commands_say_that_there_is_no_slurm_run(
    traitgraph: CommandLine, undisturbed: Path, command: str
) -> None:
    refused = traitgraph(command, "study.yaml", "--store", undisturbed)
    assert refused.returncode == 2
    assert "no SLURM run of study tiny" in refused.stderr


def test_slurm_needs_a_cluster(traitgraph: CommandLine, tmp_path: Path) -> None:
    refused = traitgraph("run", "study.yaml", "--store", tmp_path / "store", "--launcher", "slurm")
    assert refused.returncode == 2
    assert "cluster" in refused.stderr
    assert not (tmp_path / "store").exists()


def test_init_writes_a_spec_that_plans(traitgraph: CommandLine, tmp_path: Path) -> None:
    started = traitgraph("init", "mine", "--folder", tmp_path)
    assert started.returncode == 0, started.stderr
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")
    assert traitgraph("plan", tmp_path / "mine.yaml", "--store", tmp_path / "store").returncode == 0
    assert traitgraph("init", "mine", "--folder", tmp_path).returncode == 2


def test_diff_names_the_field_that_changed(traitgraph: CommandLine, study_folder: Path) -> None:
    text = (study_folder / "study.yaml").read_text(encoding="utf-8")
    changed = study_folder / "changed.yaml"
    changed.write_text(text.replace("steps: 6", "steps: 7"), encoding="utf-8")
    renamed = study_folder / "renamed.yaml"
    renamed.write_text(text.replace("  tuned:", "  trained:"), encoding="utf-8")
    printed = traitgraph("diff", "study.yaml", "changed.yaml", "--exit-code")
    assert printed.returncode == 1
    assert "steps" in printed.stdout
    assert traitgraph("diff", "study.yaml", "renamed.yaml", "--exit-code").returncode == 0


def test_lock_is_written_and_checked(traitgraph: CommandLine, tmp_path: Path) -> None:
    lock = tmp_path / "study.lock.json"
    assert traitgraph("lock", "study.yaml", "-o", lock).returncode == 0
    assert traitgraph("lock", "study.yaml", "-o", lock, "--check").returncode == 0
    other = traitgraph("lock", "study.yaml", "train.steps=9", "-o", lock, "--check")
    assert other.returncode == 1
    assert "jobs" in other.stderr


def test_explain_tells_what_a_job_is(traitgraph: CommandLine, undisturbed: Path) -> None:
    key = next((undisturbed / "train").iterdir()).name
    printed = traitgraph("explain", key[:8], "study.yaml", "--store", undisturbed)
    assert printed.returncode == 0
    assert "learning_rate" in printed.stdout


def test_materialize_writes_a_checkpoint_that_transformers_loads(
    traitgraph: CommandLine, undisturbed: Path, tmp_path: Path
) -> None:
    words = ("study.yaml", "--store", undisturbed, "--select", "alpha=0.5,trait=extraversion,level=high")
    written = traitgraph("materialize", *words, "-o", tmp_path / "models")
    assert written.returncode == 0, written.stderr
    from transformers import AutoModelForCausalLM

    (folder,) = written.stdout.split()
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 0
    assert "| extraversion high | 0.5 |" in (Path(folder) / "README.md").read_text()


def test_check_reads_the_small_data_of_a_study(traitgraph: CommandLine, study_folder: Path) -> None:
    """What is wrong with rows and items is told before a plan, by a program without torch."""
    item = {"id": 1, "text": "Talk a lot", "domain": "E", "keyed": 1}
    (study_folder / "items.json").write_text(json.dumps({"name": "q", "items": [item]}))
    told = traitgraph(
        "check",
        "study.yaml",
        "traits=[openness]",
        "benchmarks=[reply_contrast,{kind: questionnaire,items: ./items.json}]",
    )
    assert told.returncode == 2, told.stderr
    assert "error[TG212]: dialogues.jsonl: the data have no training row for openness high\n" in told.stderr
    assert "no pair of replies, high and low, for openness" in told.stderr
    assert "error[TG212]: `response_scale` is missing\n --> items.json:1:1\n" in told.stderr
    assert "next:" not in told.stderr


def test_every_fault_of_a_data_file_is_a_diagnostic_of_its_own(traitgraph: CommandLine, study_folder: Path) -> None:
    """Programs read file, line and column of each row; the text for people has no character that stands for another."""
    rows = [*(study_folder / "dialogues.jsonl").read_text().splitlines(), "{", '{"trait": "extraversoin"}', ""]
    (study_folder / "torn.jsonl").write_text("\n".join(rows))
    words = ("check", "study.yaml", "data=torn.jsonl")
    told = traitgraph(*words, "--json")
    found = json.loads(told.stdout)["diagnostics"]
    last = len(rows) - 1
    assert {(each["severity"], each["file"]) for each in found} == {("error", "torn.jsonl")}
    assert [(each["line"], each["column"], each["message"]) for each in found] == [
        (last - 1, 2, "not JSON: expecting property name enclosed in double quotes"),
        (last, 1, "`level` is missing"),
        (last, 1, "`prompt` is missing"),
        (last, 1, "`reply` is missing"),
        (last, 11, "unknown trait 'extraversoin'"),
    ]
    assert found[-1]["hint"].startswith("near: extraversion\n")
    assert told.returncode == 2
    assert "\ufffd" not in traitgraph(*words).stderr


def test_a_plan_that_a_run_would_refuse_says_so(traitgraph: CommandLine, study_folder: Path, tmp_path: Path) -> None:
    """The plan is shown with its price; it is not saved, and what comes next is the repair."""
    words = ("plan", "study.yaml", "traits=[openness]", "benchmarks=[reply_contrast,mini-ipip]", "--store", tmp_path)
    told = traitgraph(*words)
    assert told.returncode == 2
    assert told.stdout.startswith("study tiny: 4 arms, ")
    assert "error[TG212]: dialogues.jsonl: the data have no training row for openness high\n" in told.stderr
    assert "next: repair the data, then traitgraph check study.yaml" in told.stderr
    assert "traitgraph run" not in told.stderr
    saved = traitgraph(*words, "-o", tmp_path / "plan.json")
    assert (saved.returncode, (tmp_path / "plan.json").exists()) == (2, False)
    assert "not saved" in saved.stderr
    assert len(json.loads(traitgraph(*words, "--json").stdout)["data_faults"]) == 3


def test_run_refuses_a_questionnaire_that_cannot_be_put(traitgraph: CommandLine, study_folder: Path) -> None:
    (study_folder / "bare.json").write_text('{"name": "q", "items": [{"id": 1, "domain": "E", "keyed": 1}]}')
    told = traitgraph(
        "run",
        "study.yaml",
        "benchmarks=[{kind: questionnaire,items: ./bare.json}]",
        "--store",
        study_folder / "refused",
    )
    assert told.returncode == 2
    assert "error[TG212]: item 1: `text` is missing\n --> bare.json:1:" in told.stderr


def test_wording_that_the_user_must_bring_is_a_warning_until_the_run(
    traitgraph: CommandLine, study_folder: Path
) -> None:
    """The study is right, and can be planned on a machine that does not have the words."""
    (study_folder / "key.json").write_text(
        '{"name": "q", "wording": "left to the user", "response_scale": {"min": 1, "max": 2, "anchors": ["no", "yes"]},'
        ' "items": [{"id": 1, "domain": "E", "keyed": 1}]}'
    )
    words = ("study.yaml", "benchmarks=[{kind: questionnaire,items: ./key.json}]")
    checked = traitgraph("check", *words)
    assert (checked.returncode, "no errors, 1 warning" in checked.stderr) == (0, True), checked.stderr
    told = "[TG212]: key.json: a key without its wording, which belongs to others\n"
    assert "warning" + told in checked.stderr
    planned = traitgraph("plan", *words, "--store", study_folder / "refused")
    assert (planned.returncode, "warning" + told in planned.stderr) == (0, True)
    assert "traitgraph run" not in planned.stderr
    run = traitgraph("run", *words, "--store", study_folder / "refused")
    assert (run.returncode, "error" + told in run.stderr) == (2, True)
