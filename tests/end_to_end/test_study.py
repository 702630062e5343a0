"""One tiny study through the command line, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.small_disk import small_disk as small_disk
from traitgraph.runtime.store.store import RESERVED
from traitgraph.specs.jobs.results import RESULT_COLUMNS

from .commands import CommandLine, command, environment

pytestmark = pytest.mark.xdist_group("tiny-study")


def read_rows(traitgraph: CommandLine, store: Path) -> list[dict[str, str]]:
    printed = traitgraph("results", "study.yaml", "--store", store, "--csv")
    assert printed.returncode == 0, printed.stderr
    return list(csv.DictReader(io.StringIO(printed.stdout)))


def scores(rows: list[dict[str, str]], **wanted: str) -> dict[tuple[str, str, str], float]:
    """Value by benchmark, metric and repeat of the rows with these coordinates."""
    chosen = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return {(row["benchmark"], row["metric"], row["repeat"]): float(row["value"]) for row in chosen if row["value"]}


def test_a_run_leaves_a_report_a_table_and_figures(undisturbed: Path) -> None:
    report = undisturbed / "reports" / "tiny"
    assert (report / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (report / "results.csv").read_text(encoding="utf-8").splitlines()[0].split(",") == list(RESULT_COLUMNS)
    assert list((report / "figures").glob("*.svg"))


def test_no_merged_weights_are_written(undisturbed: Path) -> None:
    """Every strength is assessed in place: a merge leaves a recipe of a few kilobytes."""
    merges = [file for file in (undisturbed / "merge").rglob("*") if file.is_file()]
    assert merges
    assert max(file.stat().st_size for file in merges) < 64_000


def test_results_print_the_same_rows_as_csv_and_json(traitgraph: CommandLine, undisturbed: Path) -> None:
    rows = read_rows(traitgraph, undisturbed)
    printed = json.loads(traitgraph("results", "study.yaml", "--store", undisturbed, "--json").stdout)
    assert len(printed) == len(rows)
    for one, other in zip(printed, rows, strict=True):
        assert {name: None if text == "" else type(one[name])(text) for name, text in other.items()} == one


def test_alpha_zero_scores_exactly_as_direct(traitgraph: CommandLine, undisturbed: Path) -> None:
    rows = read_rows(traitgraph, undisturbed)
    base = scores(rows, arm="base")
    assert base
    assert scores(rows, arm="vectors", alpha="0", trait="extraversion", level="high") == base


@pytest.mark.parametrize("level", ["high", "low"])
def test_alpha_one_scores_as_the_tuned_model(traitgraph: CommandLine, undisturbed: Path, level: str) -> None:
    rows = read_rows(traitgraph, undisturbed)
    tuned = scores(rows, arm="tuned", trait="extraversion", level=level)
    merged = scores(rows, arm="vectors", alpha="1", trait="extraversion", level=level)
    exact = [name for name in tuned if name[0] == "reply_contrast" or name[1].endswith(".expected")]
    assert exact
    assert [merged[name] for name in exact] == pytest.approx([tuned[name] for name in exact], abs=2e-4)


def test_the_vectors_move_the_score_and_the_base_does_not(traitgraph: CommandLine, undisturbed: Path) -> None:
    """Training reached the weights: alpha 1 differs from the base."""
    rows = read_rows(traitgraph, undisturbed)
    name = ("reply_contrast", "extraversion", "")
    high = scores(rows, arm="vectors", alpha="1", trait="extraversion", level="high")[name]
    assert abs(high - scores(rows, arm="base")[name]) > 1e-3


def test_a_second_run_has_nothing_to_do(traitgraph: CommandLine, undisturbed: Path) -> None:
    before = made_at(undisturbed)
    again = traitgraph("run", "study.yaml", "--store", undisturbed)
    assert again.returncode == 0
    assert "0 to run" in again.stderr
    assert made_at(undisturbed) == before


def test_status_and_plan_agree_with_the_store(traitgraph: CommandLine, undisturbed: Path) -> None:
    plan = json.loads(traitgraph("plan", "study.yaml", "--store", undisturbed, "--json").stdout)
    status = traitgraph("status", "study.yaml", "--store", undisturbed)
    assert plan["counts"]["missing"] == 0
    assert plan["counts"]["present"] == plan["counts"]["jobs"]
    assert status.returncode == 0
    assert "everything is in the store" in status.stdout


def test_a_damaged_result_is_reported_and_built_again(
    traitgraph: CommandLine, undisturbed: Path, tmp_path: Path
) -> None:
    """A flipped byte in a finished artifact is never printed: the artifact is set aside and made again."""
    store = tmp_path / "store"
    subprocess.run(["cp", "-r", undisturbed, store], check=True)
    expected = read_rows(traitgraph, store)
    victim = next((store / "assess").glob("*/metrics.jsonl"))
    text = victim.read_bytes()
    victim.chmod(0o644)
    victim.write_bytes(text.replace(b"0.", b"1.", 1))
    for name in ("results", "report"):
        subprocess.run(["cp", "-r", store, tmp_path / name], check=True)
        told = traitgraph(name, "study.yaml", "--store", tmp_path / name)
        assert "metrics.jsonl" in told.stderr, "what was set aside, and why"
        assert str(tmp_path / name / "damaged") in told.stderr
    repaired = traitgraph("run", "study.yaml", "--store", store)
    assert repaired.returncode == 0, repaired.stderr
    assert "damaged" in repaired.stderr
    assert read_rows(traitgraph, store) == expected


def made_at(store: Path) -> dict[str, int]:
    """When each finished artifact was published; what a killed job was still writing is none."""
    manifests = {path.relative_to(store): path for path in store.glob("*/*/manifest.json")}
    return {str(name): path.stat().st_mtime_ns for name, path in manifests.items() if name.parts[0] not in RESERVED}


def kill_when(store: Path, study_folder: Path, reached: str) -> None:
    """Start a run and kill launcher and worker with SIGKILL as soon as `reached` has started."""
    process = subprocess.Popen(
        command("run", "study.yaml", "--store", store), cwd=study_folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if any(reached in log.read_text(errors="replace") for log in store.glob("runs/*/logs/*.log")):
            break
        time.sleep(0.02)
    assert process.poll() is None, f"the run ended before {reached!r}"
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    os.kill(process.pid, signal.SIGKILL)
    for child in children.split():
        os.kill(int(child), signal.SIGKILL)
    process.wait()


def test_a_run_killed_in_training_and_in_the_sweep_ends_like_an_undisturbed_one(
    traitgraph: CommandLine, undisturbed: Path, study_folder: Path, tmp_path: Path
) -> None:
    """SIGKILL loses no finished job, repeats none, and changes no number."""
    store = tmp_path / "store"
    kill_when(store, study_folder, reached="train extraversion low")
    finished = made_at(store)
    assert any(name.startswith("train/") for name in finished)
    kill_when(store, study_folder, reached="assess reply_contrast extraversion low alpha 0.5")
    assert made_at(store).items() >= finished.items()
    finished = made_at(store)
    assert any(name.startswith("assess/") for name in finished)
    last = traitgraph("run", "study.yaml", "--store", store)
    assert last.returncode == 0, last.stderr
    assert made_at(store).items() >= finished.items()
    assert read_rows(traitgraph, store) == read_rows(traitgraph, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_asked_to_end_saves_first(study_folder: Path, tmp_path: Path, number: int) -> None:
    """Long before its next checkpoint is due."""
    store = tmp_path / "store"
    launcher = subprocess.Popen(
        command("run", "study.yaml", "train.steps=100000", "--store", store, "--select", "kind=train"),
        cwd=study_folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # as in a terminal
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(store.glob("partial/*")):
        time.sleep(0.05)
    launcher.send_signal(number)
    told = launcher.communicate(timeout=120)[1]
    assert (launcher.returncode, "Traceback" in told) == (1, False)
    assert len(list(store.glob("partial/*/checkpoint-*/complete"))) == 1, told


def test_a_full_disk_after_a_failed_job_is_still_a_failed_job(
    traitgraph: CommandLine, small_disk: Path, study_folder: Path
) -> None:
    """The report finds no room either; the exit code is that of what failed first."""
    (small_disk / "filler").write_bytes(b"x" * ((2 << 20) - 60_000))
    ended = traitgraph("run", "study.yaml", "--store", small_disk / "store")
    assert "disk full" in ended.stderr
    assert "no report: " in ended.stderr.splitlines()[-1]
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
