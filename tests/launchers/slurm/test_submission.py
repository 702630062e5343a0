"""Submission on a real SLURM: few calls, each element once, edges that hold, nothing by halves."""

from __future__ import annotations

import functools
import getpass
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traitgraph.api.study_runs import runs_of
from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit.launch import Launch, SubmissionRefusedError, launch
from traitgraph.launchers.slurm.submit.submit import submit
from traitgraph.launchers.slurm.watch.control import cancel, watch
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import Resources, SiteLimits

from .cluster import PATIENCE, SlurmCluster, wait_until
from .studies import CLUSTER, SMALL, chain, job, results, run_of, settled, starts, table, trace_of, undisturbed

pytestmark = pytest.mark.slurm


def finish(store: Store, launched: Launch, seconds: float = 270) -> None:
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=seconds)
    assert status.ok, status


def queued_names(cluster: SlurmCluster) -> list[str]:
    return cluster.call("squeue", "-h", "-o", "%j").split()


def test_a_run_goes_through_and_gives_the_results_of_its_jobs(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = chain(trace)
    launched = launch(study, store, CLUSTER)
    assert (launched.jobs, launched.tasks, launched.arrays) == (7, 7, 3)
    finish(store, launched)
    assert results(store, study) == undisturbed(study)
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


def test_621_jobs_take_at_most_8_calls_and_5_seconds(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    train = [job(f"train{i}", trace) for i in range(10)]
    vector = [job(f"vector{i}", trace, source) for i, source in enumerate(train)]
    merge = [job(f"merge{i}-{a}", trace, source) for i, source in enumerate(vector) for a in range(20)]
    assess = [job(f"{row.label}-{b}", trace, row) for row in merge for b in "xy"]
    report = job("report", trace, *assess)
    study = table(
        {"train": [[r] for r in train], "vector": [[r] for r in vector], "merge": [[r] for r in merge],
         "assess": [[r] for r in assess], "report": [[report]]}
    )  # fmt: skip
    launched = launch(study, store, CLUSTER)
    assert launched.jobs == 621
    assert launched.calls <= 8
    assert launched.seconds < 5 * PATIENCE


def test_the_elements_of_one_array_wait_for_the_elements_of_the_other(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    launch(chain(trace, 2, until="never"), store, CLUSTER, probe=False)
    edges = dict(
        line.split() for line in slurm.call("squeue", "-h", "-o", "%j %E").splitlines() if "(null)" not in line
    )
    found = {name.partition(".")[2]: edge.partition(":")[0] for name, edge in edges.items()}
    assert found == {"02-vector": "aftercorr", "03-collect": "afterok"}


def test_what_a_failed_job_does_not_touch_still_runs_and_the_rest_is_dropped_by_slurm(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    train = [job("good", trace), job("bad", trace, fail="no such luck")]
    vector = [job(f"v-{row.label}", trace, row) for row in train]
    study = table(
        {"train": [[r] for r in train], "vector": [[r] for r in vector], "end": [[job("end", trace, *vector)]]}
    )
    launched = launch(study, store, CLUSTER, probe=False)
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    assert not status.is_active
    assert set(results(store, study)) == {"job good", "job v-job good"}
    assert {(task.id, task.state) for task in status.tasks if task.state != "done"} == {
        ("01-train-001", "failed"), ("02-vector-001", "blocked"), ("03-end-000", "blocked"),
    }  # fmt: skip
    assert {failure.message.partition(" (")[0] for failure in status.failures if failure.cause == "blocked"} == {
        "blocked by job bad"
    }


def test_an_array_is_split_at_the_largest_index_of_the_site(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    cluster = CLUSTER.model_copy(update={"limits": SiteLimits(array_size=3)})
    study = table({"work": [[job(f"w{i}", trace)] for i in range(7)]})
    launched = launch(study, store, cluster, probe=False)
    assert (launched.arrays, launched.calls) == (3, 3)
    finish(store, launched)
    assert results(store, study) == undisturbed(study)


def test_more_tasks_than_the_site_lets_wait_are_refilled_by_a_continuation(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    cluster = CLUSTER.model_copy(update={"limits": SiteLimits(submitted=6)})
    study = chain(trace, 6)
    launched = launch(study, store, cluster, probe=False)
    assert launched.waiting > 0
    most = 0
    deadline = time.monotonic() + 360
    while time.monotonic() < deadline and len(results(store, study)) < 13:
        most = max(most, len(slurm.call("squeue", "-h", "-r", "-o", "%i").split()))
        time.sleep(0.3)
    assert results(store, study) == undisturbed(study)
    assert most <= 6
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_submission_cut_short_anywhere_is_taken_up_and_nothing_is_submitted_twice(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """The process dies after `calls` calls of sbatch, the last of them made but not noted."""
    study = chain(trace)
    shim = tmp_path / "shim"
    shim.mkdir()
    sbatch = subprocess.run(["which", "sbatch"], capture_output=True, text=True, check=True).stdout.strip()
    (shim / "sbatch").write_text(
        f'#!/bin/sh\necho x >> {shim}/count\n[ "$(wc -l < {shim}/count)" -gt {calls} ] && kill -9 $PPID && exit 1\n'
        f'out=$({sbatch} "$@") || exit 1\n[ "$(wc -l < {shim}/count)" -eq {calls} ] && kill -9 $PPID\necho "$out"\n'
    )
    (shim / "sbatch").chmod(0o755)
    frozen = tmp_path / "table.json"
    frozen.write_text(study.model_dump_json())
    environment = {**os.environ, "PATH": f"{shim}:{os.environ['PATH']}"}
    died = subprocess.run(
        [sys.executable, "-m", "tests.launchers.slurm.launch_once", str(frozen), str(store.root)],
        env=environment,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    launched = launch(study, store, CLUSTER, probe=False)
    assert launched.resumed
    names = [entry.name for entry in scheduler.queue(run_of(launched.run).job_names)]
    assert all(names.count(name) == (1 if name.endswith("collect") else 3) for name in set(names))
    finish(store, launched)
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


def test_launching_the_same_study_again_takes_up_the_run_that_is_there(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    study = chain(trace, seconds=1.0)
    first = launch(study, store, CLUSTER, probe=False)
    second = launch(study, store, CLUSTER, probe=False)
    assert second.run == first.run
    assert second.calls == 0
    finish(store, first)
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


def test_no_array_waits_for_a_job_that_has_ended(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    """A part that is submitted after its parents have ended names none of them; one whose parent failed stays out."""
    train = [job("good", trace), job("bad", trace, fail="no")]
    vector = [job(f"v-{row.params['name']}", trace, row) for row in train]
    study = table({"train": [[r] for r in train], "vector": [[r] for r in vector]})
    launched = launch(study, store, CLUSTER, probe=False)
    record = run_of(launched.run)
    watch(store, record, seconds=0.3, timeout=180)
    settled(launched.run)  # a task writes its account after the last of its artifacts
    lines = (record.folder / "submitted.jsonl").read_text().splitlines()
    (record.folder / "submitted.jsonl").write_text(lines[0] + "\n")  # as if the vectors had not been submitted
    for path in (record.folder / "accounts").glob("02-*"):
        path.unlink()
    store.path("steps", vector[0].key).rename(store.root / "tmp" / "gone")
    before = {entry.job for entry in scheduler.queue(record.job_names)}
    renamed = SubmissionRecord(RunRecord(record.run.folder.rename(record.run.folder.with_name("again"))))
    progress = submit(store, renamed)
    assert (progress.submitted, progress.blocked) == (1, 1)
    new = [entry for entry in scheduler.queue(["again.02-vector", *record.job_names]) if entry.job not in before]
    assert [entry.index for entry in new] == [0]
    assert "Dependency=(null)" in slurm.call("scontrol", "show", "job", new[0].job)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition": "gpus"}, "partition 'gpus' does not exist on this cluster\n  = near: gpu"),
        ({"default": Resources(gpus=3)}, "3 GPUs on one node are more than a node of partition 'gpu' has, 2"),
        ({"default": Resources(gpus=1, gpu_type="a100")}, "no node of partition 'gpu' has GPUs of type 'a100'"),
        ({"default": Resources(minutes=2000)}, "2000 minutes are above the limit of partition 'gpu', 1440 minutes"),
        ({"default": Resources(memory_gb=100)}, "100 GiB of memory on one node are more than"),
        ({"environment": ("A_SECRET",)}, "tasks need the variable A_SECRET, which is not set here"),
        ({"account": "nobody", "options": {"reservation": "none"}}, "nothing was submitted"),
        ({"python": "/no/such/python"}, "there is no interpreter /no/such/python on the compute nodes"),
        ({"setup": ("alias_python() { exit 1; }; alias_python",)}, "cannot run traitgraph"),
    ],
)  # fmt: skip
def test_what_the_site_cannot_run_is_refused_with_its_reason_and_nothing_is_left_in_the_queue(
    slurm: SlurmCluster, store: Store, trace: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SubmissionRefusedError) as refused:
        launch(chain(trace), store, CLUSTER.model_copy(update=changes))
    assert message in str(refused.value)
    wait_until(lambda: not queued_names(slurm), "queue empty", seconds=20)
    assert not list((store.root / "runs").iterdir()) if (store.root / "runs").exists() else True


def stand_in(folder: Path, command: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that is found before one of SLURM's commands; `$real` in its text is that command."""
    script = folder / "bin" / command
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\nreal={shutil.which(command)}\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def test_a_job_whose_submission_went_through_unheard_is_taken_back(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = '"$real" "$@" >/dev/null; echo "sbatch: error: Lost in a way of its own" >&2; exit 1'
    stand_in(tmp_path, "sbatch", f'case $* in *01-*) {lost};; *) exec $real "$@";; esac', monkeypatch)
    with pytest.raises(SubmissionRefusedError, match=r"Lost in a way of its own.*\n?.*nothing was submitted"):
        launch(chain(trace), store, CLUSTER, probe=False)
    wait_until(lambda: not queued_names(slurm), "queue empty", seconds=20)
    assert not list((store.root / "runs").iterdir())


TIMED_OUT = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'


@pytest.mark.parametrize("is_taken", [False, True])
def test_one_passing_fault_of_a_busy_controller_is_tried_again_and_nothing_is_submitted_twice(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    """Whether it has queued the job all the same, or not."""
    monkeypatch.setattr(scheduler, "PAUSES", (0.1, 0.1))
    once = f'[ -e {tmp_path}/once ] && exec $real "$@"; touch {tmp_path}/once; '
    take = '"$real" "$@" >/dev/null; ' if is_taken else ""
    stand_in(tmp_path, "sbatch", once + take + TIMED_OUT, monkeypatch)
    study = chain(trace)
    finish(store, launch(study, store, CLUSTER, probe=False))
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


def test_a_fault_that_does_not_pass_is_told_after_a_few_attempts(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "PAUSES", (0.05, 0.05))
    stand_in(tmp_path, "sbatch", f"echo x >> {tmp_path}/calls; {TIMED_OUT}", monkeypatch)
    with pytest.raises(SubmissionRefusedError, match="Socket timed out"):
        launch(chain(trace), store, CLUSTER, probe=False)
    assert (tmp_path / "calls").read_text().count("x") == 3


def test_what_a_site_prints_beside_the_id_is_no_id(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    banner = (
        'echo "Welcome to cluster 7"; "$real" "$@"; code=$?; echo; echo "your project has 12 hours left"; exit $code'
    )
    stand_in(tmp_path, "sbatch", banner, monkeypatch)
    finish(store, launch(chain(trace), store, CLUSTER, probe=False))


def test_a_run_whose_table_was_deleted_is_known_all_the_same(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    """It stands in the queue: it is taken up, not submitted again; its status is told, and it can be cancelled."""
    study = table({"train": [[job("slow", trace, until="never")]]})
    first = launch(study, store, CLUSTER, probe=False)
    (first.run / "table.json").unlink()
    assert [record.id for record in runs_of(store, study.study, submitted=True)] == [first.run.name]
    (first.run / "table.json").write_text("{")
    again = launch(study, store, CLUSTER, probe=False)
    assert (again.run, again.calls) == (first.run, 0)
    assert read_status(store, run_of(first.run)).is_active
    assert cancel(run_of(first.run)) == 1


def test_a_run_that_only_the_queue_knows_is_not_submitted_a_second_time(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    """Its record is gone: what it makes is unknown, so it is named, with the command that takes it out."""
    study = table({"train": [[job("slow", trace, until="never")]]})
    first = launch(study, store, CLUSTER, probe=False)
    wait_until(lambda: trace_of(trace, "slow"), "it has begun")
    shutil.rmtree(first.run)
    with pytest.raises(SubmissionRefusedError, match=rf"run {first.run.name} is in the queue") as refused:
        launch(study, store, CLUSTER, probe=False)
    command = str(refused.value).rpartition("take it out: ")[2]
    subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "USER": getpass.getuser()})
    wait_until(lambda: not queued_names(slurm), "queue empty", seconds=30)


def test_a_run_that_cannot_be_taken_back_is_kept_to_go_on_from(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the controller goes away in the middle of a submission."""
    away = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
    release = f'case $1 in release) {away};; *) exec $real "$@";; esac'
    scripts = [stand_in(tmp_path, *each, monkeypatch) for each in (("scancel", away), ("scontrol", release))]
    with pytest.raises(SubmissionRefusedError, match=r"what is in the queue of it is held; `run` goes on with it"):
        launch(chain(trace), store, CLUSTER, probe=False)
    for script in scripts:
        script.unlink()
    launched = launch(chain(trace), store, CLUSTER, probe=False)
    assert (launched.resumed, launched.calls) == (True, 0)
    finish(store, launched)


def test_a_task_that_may_take_longer_than_the_partition_allows_asks_for_what_it_allows(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    study = table({"work": [[job("w", trace)]]})
    study = study.model_copy(update={"tasks": (study.tasks[0].model_copy(update={"minutes": 26.0}),)})
    short = CLUSTER.model_copy(update={"partition": "short", "default": SMALL.model_copy(update={"minutes": 30})})
    launched = launch(study, store, short, probe=False)
    assert slurm.call("squeue", "-h", "-t", "all", "-o", "%l", f"--name={launched.run.name}.01-work").strip() == "30:00"
    finish(store, launched)


def test_more_nodes_than_the_partition_has_are_refused(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = table({"train": [[job("w", trace).model_copy(update={"kind": "train"})]]})
    with pytest.raises(SubmissionRefusedError, match="9 such nodes are more than partition 'gpu' gives to one task, 4"):
        launch(study, store, CLUSTER.model_copy(update={"kinds": {"train": Resources(nodes=9)}}))


def test_all_problems_are_told_at_once(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    cluster = CLUSTER.model_copy(update={"default": Resources(gpus=3, minutes=2000), "environment": ("A_SECRET",)})
    with pytest.raises(SubmissionRefusedError) as refused:
        launch(chain(trace), store, cluster)
    assert len(refused.value.problems) == 3


def test_without_sbatch_the_refusal_says_so(store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SubmissionRefusedError, match="no sbatch on the PATH"):
        launch(chain(trace), store, CLUSTER)


def test_memory_is_left_to_the_site_or_the_whole_node_is_taken(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    free = CLUSTER.model_copy(update={"default": Resources(cpus=1, memory_gb=None, minutes=10)})
    whole = CLUSTER.model_copy(update={"default": Resources(cpus=1, memory_gb=0, minutes=10)})
    given = []
    for name, cluster in (("free", free), ("whole", whole)):
        launched = launch(table({"work": [[job(name, trace, until="never")]]}), store, cluster)
        assert ("--mem=" in run_of(launched.run).script("continue").read_text()) == (name == "whole")
        running = ["squeue", "-h", "-t", "running", "-o", "%m", f"--name={launched.run.name}.01-work"]
        wait_until(functools.partial(slurm.call, *running), "it runs")
        given.append(slurm.call(*running).strip())
    assert given == ["100M", "0"]  # DefMemPerCPU, and SLURM's word for all that a node has


def test_a_store_may_have_any_name(slurm: SlurmCluster, tmp_path: Path, trace: Path) -> None:
    with Store(tmp_path / "50%j of $it, 'mine'") as store:
        cluster = CLUSTER.model_copy(update={"setup": ("exit 3",)})
        launched = launch(table({"work": [[job("w", trace)]]}), store, CLUSTER)
        finish(store, launched)
        lost = launch(table({"work": [[job("x", trace)]]}), store, cluster, probe=False)
        watch(store, run_of(lost.run), seconds=0.3, timeout=180)
        assert [path.name for path in (lost.run / "slurm" / "output").iterdir()] == ["01-work-0.log"]


def test_job_names_carry_run_and_stage(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    launched = launch(chain(trace, until="never"), store, CLUSTER, probe=False)
    names = {name.partition(".")[2] for name in queued_names(slurm) if name.startswith(launched.run.name)}
    assert names == {"01-train", "02-vector", "03-collect"}


def test_a_throttle_holds(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    cluster = CLUSTER.model_copy(update={"throttle": 2})
    study = table({"work": [[job(f"w{i}", trace, seconds=0.5)] for i in range(6)]})
    launched = launch(study, store, cluster, probe=False)
    most = 0
    for _ in itertools.count():
        running = slurm.call("squeue", "-h", "-r", "-t", "running", "-o", "%i").split()
        most = max(most, len(running))
        if not queued_names(slurm):
            break
        time.sleep(0.1)
    assert 1 <= most <= 2
    finish(store, launched)


def test_temporary_files_go_to_the_scratch_of_the_node_and_leave_nothing(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path
) -> None:
    cluster = CLUSTER.model_copy(update={"scratch": f"{tmp_path}/scratch/$SLURM_JOB_ID"})
    finish(store, launch(table({"work": [[job("w", trace)]]}), store, cluster, probe=False))
    (where,) = [line for line in trace_of(trace, "w") if line.startswith("temporary")]
    assert where.startswith(f"temporary files in {tmp_path}/scratch/")
    scratch = tmp_path / "scratch"  # the task tidies up after its last job was published, perhaps while we look

    def left() -> list[str]:
        return [name for _, folders, files in os.walk(scratch) for name in (*folders, *files) if "traitgraph-" in name]

    wait_until(lambda: not left(), "temporary files are gone")
