"""What a person asks of a run: how far it is, its logs, to cancel it, to try again, to export it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from traitgraph.launchers.slurm.record.attempts import attempt_path
from traitgraph.launchers.slurm.record.logs import follow, logs_of
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import read_limits
from traitgraph.launchers.slurm.submit.export import dry_run, export
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, launch
from traitgraph.launchers.slurm.submit.submit import submit
from traitgraph.launchers.slurm.watch.control import NotYoursError, cancel, remaining_table, retry, watch
from traitgraph.launchers.slurm.watch.doctor import check_limits
from traitgraph.launchers.slurm.watch.run_status import RunStatus, status_json, status_text
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import SiteLimits

from .cluster import SlurmCluster, wait_until
from .studies import CLUSTER, SMALL, chain, job, results, run_of, table, trace_of, undisturbed

pytestmark = pytest.mark.slurm


def test_one_question_per_look_however_many_jobs_and_none_once_all_are_there(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    plain = scheduler.call

    def counted(*words: str, **more: Any) -> str:
        calls.append(words[0])
        return plain(*words, **more)

    monkeypatch.setattr(scheduler, "call", counted)
    study = chain(trace, 20)
    launched = launch(study, store, CLUSTER, probe=False)
    calls.clear()
    assert read_status(store, run_of(launched.run)).queries == 1
    assert calls == ["squeue"]
    status = watch(store, run_of(launched.run), seconds=0.5, timeout=360)
    assert status.ok
    calls.clear()
    assert read_status(store, run_of(launched.run)).queries == 0
    assert calls == []


def test_the_status_names_stages_nodes_steps_and_the_time_left(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    first = job("first", trace)
    slow = job("slow", trace, first, steps=100, seconds=0.1, until="never")
    study = table({"train": [[first]], "vector": [[slow]], "end": [[job("end", trace, slow)]]})
    study = study.model_copy(update={"tasks": tuple(t.model_copy(update={"minutes": 1.0}) for t in study.tasks)})
    launched = launch(study, store, CLUSTER, probe=False)
    wait_until(lambda: "step 4" in trace_of(trace, "slow"), "slow has begun")
    status = read_status(store, run_of(launched.run))
    assert [(stage.name, stage.done, dict(stage.tasks)) for stage in status.stages] == [
        ("01-train", 1, {"done": 1}), ("02-vector", 0, {"running": 1}), ("03-end", 0, {"waiting": 1}),
    ]  # fmt: skip
    assert len(status.nodes) == 1
    assert status.eta_seconds == pytest.approx(90)  # half of the running minute, all of the waiting one
    text = status_text(status)
    assert "1 of 3 jobs done" in text
    assert "job slow" in text
    assert "of 100 steps" in text
    assert json.loads(json.dumps(status_json(status)))["stages"][1]["tasks"] == {"running": 1}


def test_failures_are_grouped_by_cause_with_the_last_lines(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    bad = [job(f"bad{i}", trace, fail="no such luck") for i in range(3)]
    launched = launch(table({"train": [[row] for row in bad]}), store, CLUSTER, probe=False)
    text = status_text(watch(store, run_of(launched.run), seconds=0.3, timeout=180))
    assert text.count("ValueError: no such luck") == 1  # one cause for the three of them
    assert "in begin" in text
    assert "3 jobs: ValueError: no such luck" in text
    assert "logs/01-train-000.log" in text


def test_a_task_that_never_began_shows_what_slurm_wrote(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    cluster = CLUSTER.model_copy(update={"setup": ("echo the module is gone >&2; exit 3",)})
    launched = launch(table({"train": [[job("a", trace)]]}), store, cluster, probe=False)
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    assert [(failure.cause, failure.message) for failure in status.failures] == [
        ("did not start", "the module is gone")
    ]
    assert logs_of(run_of(launched.run), "01-train-000")[0][1].read_text() == "the module is gone\n"


def test_without_an_answer_from_slurm_the_files_still_tell(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = table({"train": [[job("a", trace)]], "end": [[job("b", trace, fail="no")]]})
    launched = launch(study, store, CLUSTER, probe=False)
    watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    monkeypatch.setenv("PATH", "/nowhere")
    status = read_status(store, run_of(launched.run))
    assert {task.id: task.state for task in status.tasks} == {"01-train-000": "done", "02-end-000": "failed"}
    assert "SLURM does not answer" in status.notes[0]


def test_without_an_answer_from_slurm_nothing_counts_as_over(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = job("slow", trace, until="never")
    launched = launch(table({"train": [[slow]], "end": [[job("end", trace, slow)]]}), store, CLUSTER, probe=False)
    with monkeypatch.context() as away:
        away.setenv("PATH", "/nowhere")
        status = read_status(store, run_of(launched.run))
    assert {task.state for task in status.tasks} == {"unknown"}
    assert status.is_active
    assert status.exit_code == 0


def test_logs_are_found_by_task_key_or_label_and_followed_to_the_end(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    row = job("chatty", trace, steps=10, seconds=0.1)
    launched = launch(table({"train": [[row]]}), store, CLUSTER, probe=False)
    record = run_of(launched.run)
    wait_until(lambda: logs_of(record, "chatty"), "the log is there")
    for wanted in ("01-train-000", row.key[:8], "CHATTY"):
        assert [task for task, _ in logs_of(record, wanted)] == ["01-train-000"]
    assert logs_of(record, "nothing of that name") == []
    lines = list(follow(logs_of(record, "chatty")[0][1], lambda: not read_status(store, record).is_active, 0.1))
    assert any('"done": 10' in line for line in lines), lines


def test_watching_shows_every_look_until_the_end(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    launched = launch(chain(trace, 2), store, CLUSTER, probe=False)
    seen: list[RunStatus] = []
    last = watch(store, run_of(launched.run), seen.append, seconds=0.2, timeout=180)
    assert last.ok
    assert len(seen) > 1
    assert [status.done for status in seen] == sorted(status.done for status in seen)


def test_waiting_ends_when_its_time_is_up(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    launched = launch(table({"train": [[job("slow", trace, until="never")]]}), store, CLUSTER, probe=False)
    assert watch(store, run_of(launched.run), seconds=0.1, timeout=0.5).is_active


def test_cancel_ends_one_run_and_no_other(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    slow = {"until": "never"}
    mine = launch(table({"train": [[job("mine", trace, **slow)]]}, "mine"), store, CLUSTER, probe=False)
    other = launch(table({"train": [[job("other", trace, **slow)]]}, "other"), store, CLUSTER, probe=False)
    wait_until(lambda: trace_of(trace, "mine") and trace_of(trace, "other"), "both have begun")
    assert cancel(run_of(mine.run)) == 1
    status = watch(store, run_of(mine.run), seconds=0.2, timeout=90)
    assert [task.state for task in status.tasks] == ["cancelled"]
    assert read_status(store, run_of(other.run)).is_active


def test_after_a_cancellation_the_rest_goes_into_a_run_of_its_own_whose_status_is_true(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    """The cancelled run has tasks that were never submitted: its continuation was still waiting."""
    study = table({"w": [[job(f"w{i}", trace)] for i in range(9)]})
    cluster = CLUSTER.model_copy(update={"limits": SiteLimits(submitted=6)})
    first = launch(study, store, cluster, probe=False)
    helper = next(e.job for e in scheduler.queue(run_of(first.run).job_names) if e.name.endswith("continue"))
    slurm.call("scontrol", "hold", helper)
    wait_until(lambda: len(results(store, study)) == 3, "the first part is done")
    cancel(run_of(first.run))
    assert not submit(store, run_of(first.run)).calls  # as by a continuation that ran just then
    rest = remaining_table(study, store, read_status(store, run_of(first.run)))[0]
    second = launch(rest, store, cluster, probe=False)
    assert second.run != first.run
    wait_until(lambda: not read_status(store, run_of(second.run)).is_active, "the second run is over", seconds=120)
    assert read_status(store, run_of(second.run)).ok
    assert results(store, study) == undisturbed(study)


def test_a_run_of_somebody_else_is_not_cancelled(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    launched = launch(table({"train": [[job("a", trace, until="never")]]}), store, CLUSTER, probe=False)
    path = launched.run / "slurm" / "submission.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "user": "somebody"}))
    with pytest.raises(NotYoursError, match="only somebody can cancel it"):
        cancel(run_of(launched.run))
    assert read_status(store, run_of(launched.run)).is_active


def test_a_colleague_sees_the_state_of_a_run_and_has_nothing_to_retry(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = launch(table({"train": [[job("a", trace, until="told")]]}), store, CLUSTER, probe=False)
    wait_until(lambda: trace_of(trace, "a"), "a has begun")
    monkeypatch.setenv("LOGNAME", "nobody")
    assert [task.state for task in read_status(store, run_of(launched.run)).tasks] == ["running"]
    assert retry(store, run_of(launched.run)).launch is None
    (trace / "told").touch()
    assert watch(store, run_of(launched.run), seconds=0.3, timeout=180).ok


def test_where_slurm_hides_the_jobs_of_others_a_colleague_is_not_told_that_they_failed(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = launch(table({"train": [[job("a", trace, until="never")]]}), store, CLUSTER, probe=False)
    monkeypatch.setenv("LOGNAME", "nobody")
    monkeypatch.setattr(scheduler, "queue", lambda *_: [])  # as under PrivateData=jobs
    status = read_status(store, run_of(launched.run))
    assert [task.state for task in status.tasks] == ["unknown"]
    assert "SLURM shows no job of root" in status.notes[0]


def test_a_retry_leaves_out_what_still_waits_for_running_tasks(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    slow, bad = job("slow", trace, until="told"), job("bad", trace, fail_once="not yet")
    study = table({"train": [[slow], [bad]], "end": [[job("end", trace, slow, bad)]]})
    launched = launch(study, store, CLUSTER, probe=False)
    wait_until(lambda: run_of(launched.run).run.failures(), "bad has failed")
    wait_until(lambda: read_status(store, run_of(launched.run)).failures, "the failure is told")
    first = retry(store, run_of(launched.run))
    assert (first.launch and first.launch.jobs, first.left_out) == (1, 2)
    (trace / "told").touch()
    watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    second = retry(store, run_of(launched.run)).launch
    assert second is not None
    assert watch(store, run_of(second.run), seconds=0.3, timeout=180).ok
    assert results(store, study) == undisturbed(study)
    assert retry(store, run_of(launched.run)).launch is None


def test_a_retry_asks_for_a_whole_node_at_most_and_for_nothing_more_after_a_gpu_was_full(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    killed, full = job("killed", trace, die_once=True), job("full", trace, fail_once="CUDA out of memory. Tried to ...")
    near = CLUSTER.model_copy(update={"default": CLUSTER.default.model_copy(update={"memory_gb": 6.0})})
    study = table({"train": [[killed], [full]]})
    launched = launch(study, store, near, probe=False)
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    assert sorted(failure.cause for failure in status.failures) == ["killed by signal 9 (SIGKILL)", "out of GPU memory"]
    tried = retry(store, run_of(launched.run))
    assert tried.launch is not None
    asked = {tuple(array.tasks.values()): array.resources.memory_gb for array in run_of(tried.launch.run).arrays}
    assert asked == {("01-train-000",): 8000 / 1024, ("01-train-001",): 6.0}
    assert watch(store, run_of(tried.launch.run), seconds=0.3, timeout=180).ok


def test_a_dry_run_shows_everything_and_touches_nothing(store: Store, trace: Path) -> None:
    text = dry_run(chain(trace), store, CLUSTER)
    assert text.count("#!/bin/bash") == 3
    assert 'sbatch --parsable --array=0-2 --dependency="aftercorr:${job_01_train}" 02-vector.sh' in text
    assert not store.root.exists()


def test_an_exported_run_is_submitted_by_a_shell_alone(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path
) -> None:
    study = chain(trace)
    script = export(study, store, CLUSTER, tmp_path / "exported")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sbatch", "scontrol", "env", "cut", "cat", "mkdir", "mv", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    environment = {**os.environ, **slurm.environment, "PATH": str(tools)}  # no python there
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, cwd="/", timeout=60, env=environment)
    record = run_of(script.parent)
    entries = [entry for entry in scheduler.queue(record.job_names) if entry.index is not None]
    assert len(entries) == 7
    assert watch(store, record, seconds=0.3, timeout=180).ok
    assert results(store, study) == undisturbed(study)


def test_an_exported_run_that_is_refused_leaves_nothing_in_the_queue_and_can_be_submitted_later(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path
) -> None:
    study = chain(trace)
    cluster = CLUSTER.model_copy(update={"environment": ("A_SECRET",)})
    script = export(study, store, cluster, tmp_path / "exported")
    last = script.parent / "slurm" / "scripts" / "03-collect.sh"
    good = last.read_text()
    last.write_text(good.replace("--partition=gpu", "--partition=nope"))

    def submit_by_hand(**variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **slurm.environment, "SBATCH_PARTITION": "short", **variables}
        return subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=False)

    assert "A_SECRET" in submit_by_hand().stderr
    assert not (script.parent / "slurm" / "ids").exists()
    refused = submit_by_hand(A_SECRET="x")
    assert refused.returncode
    assert "not submitted" in refused.stderr
    wait_until(lambda: not slurm.call("squeue", "-h").strip(), "queue empty", seconds=20)
    last.write_text(good)
    assert submit_by_hand(A_SECRET="x").returncode == 0
    assert watch(store, run_of(script.parent), seconds=0.3, timeout=180).ok
    assert results(store, study) == undisturbed(study)


def test_an_export_never_writes_into_a_folder_that_is_in_use(store: Store, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(FileExistsError, match="is not empty"):
        export(chain(trace), store, CLUSTER, tmp_path)


# ---------------------------------------------------------------- with accounting


def test_what_the_queue_forgot_the_accounting_knows(
    accounting_cluster: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that ended without leaving a file: once squeue forgets them, sacct says what became of them."""
    slow, never = job("slow", trace, steps=100, seconds=0.1), job("never", trace)
    cluster = CLUSTER.model_copy(update={"throttle": 1})
    launched = launch(table({"train": [[slow], [never]]}), store, cluster, probe=False)
    record = run_of(launched.run)
    wait_until(lambda: trace_of(trace, "slow"), "slow has begun")
    accounting_cluster.call("scancel", record.submitted()[0].job)
    wait_until(lambda: not read_status(store, record).is_active, "the run is over")
    since = datetime.fromisoformat(record.text.at).astimezone().strftime("%Y-%m-%dT%H:%M:%S")

    def cancelled() -> int:
        return sum(entry.state == "CANCELLED" for entry in scheduler.accounting(record.job_names, since) or ())

    wait_until(lambda: cancelled() > 0, "sacct knows", seconds=30)
    attempt_path(launched.run, "01-train-000").unlink()
    monkeypatch.setattr(scheduler, "queue", lambda *_: [])  # as MinJobAge seconds later
    status = read_status(store, record)
    assert [(task.state, task.cause) for task in status.tasks] == [("cancelled", "cancelled")] * 2
    assert status.queries == 2


def test_the_limits_of_a_user_are_read_from_the_accounting_and_kept(
    accounting_cluster: SlurmCluster, store: Store, trace: Path
) -> None:
    accounting_cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=5")
    try:
        assert read_limits(CLUSTER, [SMALL]).submitted == 5
        assert read_limits(CLUSTER, [SMALL]).accounting
        study = table({"work": [[job(f"w{i}", trace)] for i in range(9)]})
        launched = launch(study, store, CLUSTER, probe=False)
        assert launched.waiting > 0
        wait_until(lambda: len(results(store, study)) == 9, "all nine", seconds=90)
    finally:
        accounting_cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=-1")


def with_qos(cluster: SlurmCluster, name: str, limit: str) -> Iterator[str]:
    """A QoS of the site that its user may ask for, under a limit as sacctmgr takes it."""
    cluster.call("sacctmgr", "-i", "add", "qos", name, "set", limit)
    cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", f"qos=normal,{name}", "DefaultQOS=normal")
    yield name
    cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "DefaultQOS=-1", "qos=normal")
    cluster.call("sacctmgr", "-i", "delete", "qos", name)


@pytest.fixture
def debug_qos(accounting_cluster: SlurmCluster) -> Iterator[str]:
    """A QoS under which a user may have one job in the queue."""
    yield from with_qos(accounting_cluster, "debug", "MaxSubmitJobsPerUser=1")


@pytest.fixture
def brief_qos(accounting_cluster: SlurmCluster) -> Iterator[str]:
    """A QoS under which a job may have half an hour."""
    yield from with_qos(accounting_cluster, "brief", "MaxWall=00:30:00")


def test_a_qos_that_no_task_asks_for_limits_nothing_and_one_that_is_too_low_is_refused(
    accounting_cluster: SlurmCluster, store: Store, trace: Path, debug_qos: str
) -> None:
    study = chain(trace, 1)
    assert launch(study, store, CLUSTER, probe=False).waiting == 0
    with pytest.raises(SubmissionRefusedError, match=r"3 tasks do not fit .* \(1 by QoS 'debug'\)"):
        launch(study, Store(store.root / "second"), CLUSTER.model_copy(update={"qos": debug_qos}))
    alone = table({"work": [[job("alone", trace)]]})
    debug = CLUSTER.model_copy(update={"qos": debug_qos})
    launched = launch(alone, store, debug)  # one job fits, and no probe takes its place
    assert watch(store, run_of(launched.run), seconds=0.3, timeout=180).ok


def test_the_cluster_file_has_the_last_word_on_the_limit(accounting_cluster: SlurmCluster, debug_qos: str) -> None:
    debug = CLUSTER.model_copy(update={"qos": debug_qos, "limits": SiteLimits(submitted=1000)})
    assert read_limits(debug, [debug.resources_of("", None, None)]).submitted == 1000


def test_a_time_above_that_of_the_qos_is_refused_since_slurm_would_let_it_wait_for_ever(
    accounting_cluster: SlurmCluster, store: Store, trace: Path, brief_qos: str
) -> None:
    study = table({"work": [[job("w", trace)]]})
    brief = CLUSTER.model_copy(update={"qos": brief_qos})
    hour = brief.model_copy(update={"default": SMALL.model_copy(update={"minutes": 60})})
    with pytest.raises(SubmissionRefusedError, match="60 minutes are above the limit of QoS 'brief', 30 minutes"):
        launch(study, store, hour, probe=False)
    limits = read_limits(brief, [brief.resources_of("", None, None)])
    assert "at most 30 minutes by QoS 'brief'" in [check.found for check in check_limits(brief, limits, [], study)]
    expected = study.model_copy(update={"tasks": (study.tasks[0].model_copy(update={"minutes": 26.0}),)})
    launched = launch(expected, store, brief, probe=False)  # twice that, but for the limit
    assert run_of(launched.run).arrays[0].resources.minutes == 30
    assert watch(store, run_of(launched.run), seconds=0.3, timeout=180).ok
    assert launch(study, Store(store.root / "normal"), CLUSTER, probe=False).tasks == 1


def test_a_limit_that_is_lifted_while_a_run_waits_holds_it_back_no_longer(
    accounting_cluster: SlurmCluster, store: Store, trace: Path
) -> None:
    accounting_cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=3")
    try:
        study = table({"work": [[job(f"w{i}", trace)] for i in range(9)]})
        launched = launch(study, store, CLUSTER, probe=False)
        assert launched.waiting == 7
    finally:
        accounting_cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=-1")
    with store:
        assert submit(store, run_of(launched.run)).waiting == 0
    assert watch(store, run_of(launched.run), seconds=0.3, timeout=270).ok
