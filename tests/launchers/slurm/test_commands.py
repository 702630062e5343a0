"""The commands about a run on a real SLURM, as a person types them: what they print, and with which code they end."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.api.study_runs import RunWatch, TaskLog, logs_once_started
from traitgraph.cli.main import main
from traitgraph.launchers.slurm.record.logs import follow
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit import launch as launching
from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.launchers.slurm.watch.control import cancel
from traitgraph.launchers.slurm.watch.run_status import status_text
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import SiteLimits

from .cluster import SlurmCluster, wait_until
from .studies import CLUSTER, job, results, run_of, table

pytestmark = pytest.mark.slurm

SPEC = """\
study: small
model: ./model
traits: [extraversion]
data: ./dialogues.jsonl
method: direct
benchmarks: [reply_contrast]
cluster: {partition: gpu, default: {cpus: 1, memory_gb: 1, minutes: 10}, signal_seconds: 5, options: {begin: now+1hour}}
"""
"""A study whose tasks would not start for an hour."""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of one assessment, its folder the current one, its probe not waited for."""
    save_tiny_model(tmp_path / "model")
    data = Path(__file__).parents[3] / "examples" / "data" / "dialogues.jsonl"
    (tmp_path / "dialogues.jsonl").write_bytes(data.read_bytes())
    (tmp_path / "study.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[3]}:{os.environ['PYTHONPATH']}")
    monkeypatch.setattr(launching, "PROBE_SECONDS", 0.0)
    return tmp_path / "study.yaml"


def test_status_and_wait_say_why_tasks_wait_and_name_the_command_that_goes_on(
    slurm: SlurmCluster, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "study.yaml", "--launcher", "slurm"]) == 0
    wait_until(lambda: "BeginTime" in slurm.call("squeue", "-h", "-o", "%r"), "SLURM has looked at the probe")
    capsys.readouterr()
    assert main(["status", "study.yaml"]) == 0
    told = capsys.readouterr().out
    assert "BeginTime" in told
    assert "next: traitgraph wait study.yaml " in told
    assert main(["wait", "study.yaml", "--timeout", "1", "--every", "0.3"]) == 1
    assert capsys.readouterr().err.count("BeginTime") == 1  # said once, as long as nothing changes
    assert main(["cancel", "study.yaml"]) == 0
    wait_until(lambda: not scheduler.active_names(), "the queue is empty")
    capsys.readouterr()
    assert main(["status", "study.yaml"]) == 1
    assert "next: traitgraph retry study.yaml " in capsys.readouterr().out
    assert main(["results", "study.yaml"]) == 2
    assert "next: traitgraph run study.yaml --launcher slurm\n" in capsys.readouterr().err


def test_a_held_task_is_shown_as_held_and_by_whom(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    later = CLUSTER.model_copy(update={"options": {"begin": "now+1hour"}})
    launched = launch(table({"train": [[job("a", trace)]]}), store, later, probe=False)
    record = run_of(launched.run)
    held = record.submitted()[0].job
    slurm.call("scontrol", "hold", held)
    status = read_status(store, record)
    assert [task.state for task in status.tasks] == ["held"]
    assert status.is_active
    said = f"1 task waits: JobHeldAdmin: held by an administrator, who alone can release them; scontrol release {held}"
    assert said in status_text(status)


def test_a_continuation_is_named_while_it_waits_and_without_it_the_rest_counts_as_not_submitted(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    cluster = CLUSTER.model_copy(update={"limits": SiteLimits(submitted=6)})
    study = table({"w": [[job(f"w{i}", trace)] for i in range(9)]})
    launched = launch(study, store, cluster, probe=False)
    record = run_of(launched.run)
    helper = next(e.job for e in scheduler.queue(record.job_names) if e.name.endswith("continue"))
    slurm.call("scontrol", "hold", helper)
    assert f"6 more tasks will be submitted by job {helper} (JobHeldAdmin" in status_text(read_status(store, record))
    slurm.call("scancel", helper)
    wait_until(lambda: len(results(store, study)) == 3, "the first part is done")
    wait_until(lambda: not read_status(store, record).is_active, "the run is over")
    status = read_status(store, record)
    assert {failure.cause for failure in status.failures} == {"not submitted"}
    assert len(status.failures) == 6


def test_following_a_log_waits_for_the_start_of_its_task_and_ends_after_a_hard_kill(
    slurm: SlurmCluster, store: Store, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = table({"train": [[job("train", trace, until="never")]]})
    later = CLUSTER.model_copy(update={"options": {"begin": "now+1hour"}})
    launched = launch(study, store, later, probe=False)
    (job_id,) = (each.job for each in run_of(launched.run).submitted())
    before = _waiting(store, study.study)
    slurm.call("scontrol", "update", f"jobid={job_id}", "StartTime=now")
    (log,) = before.result(timeout=180)
    assert log.path.name == "01-train-000.log"
    assert "has not started" in capsys.readouterr().err
    watch = RunWatch(store, log.run, seconds=0.5)
    assert not watch.is_over(log.task)
    slurm.call("scancel", "--signal=KILL", "--full", job_id)
    assert list(follow(log.path, lambda: watch.is_over(log.task), 0.1))


def _waiting(store: Store, study: str) -> Future[list[TaskLog]]:
    """`logs -f` for the training, in a thread."""
    return ThreadPoolExecutor(1).submit(logs_once_started, store, study, "train")


def test_following_a_log_of_a_task_that_never_starts_comes_to_an_end(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    later = CLUSTER.model_copy(update={"options": {"begin": "now+1hour"}})
    study = table({"train": [[job("train", trace)]]})
    cancel(run_of(launch(study, store, later, probe=False).run))
    assert logs_once_started(store, study.study, "train") == []
