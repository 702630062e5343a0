"""What is refused, and what a status and a probe tell, where SLURM says little: its answers stand in the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.node.probe import exit_path
from traitgraph.launchers.slurm.record.attempts import output_path
from traitgraph.launchers.slurm.record.record import SubmissionRecord, Submitted
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Limits, NodeShape, Partition
from traitgraph.launchers.slurm.site.scheduler import AccountingEntry, QueueEntry, SchedulerError
from traitgraph.launchers.slurm.submit import open_runs
from traitgraph.launchers.slurm.submit.export import export
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError
from traitgraph.launchers.slurm.submit.open_runs import submitting_alone
from traitgraph.launchers.slurm.submit.probe_state import ProbeState, explain
from traitgraph.launchers.slurm.submit.problems import find_problems
from traitgraph.launchers.slurm.submit.submit import BusyError
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import SiteLimits

from .studies import CLUSTER, SMALL, chain, job, run_of, table


@pytest.fixture
def record(store: Store, trace: Path, tmp_path: Path) -> SubmissionRecord:
    """A run of one task that was submitted as job 7."""
    found = run_of(export(table({"train": [[job("a", trace)]]}), store, CLUSTER, tmp_path / "exported").parent)
    found.note(Submitted("01-train", (0,), "7"))
    return found


def test_an_export_that_does_not_fit_into_the_queue_at_once_is_refused_for_nobody_refills_it(
    store: Store, trace: Path, tmp_path: Path
) -> None:
    few = CLUSTER.model_copy(update={"limits": SiteLimits(submitted=6)})
    with pytest.raises(
        SubmissionRefusedError, match=r"^7 tasks do not fit into the queue at once \(6 may be submitted"
    ):
        export(chain(trace), store, few, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
    assert export(chain(trace, 2), store, few, tmp_path / "exported").is_file(), "five do"


def test_a_partition_that_starts_nothing_is_refused(trace: Path) -> None:
    site = Limits(partitions={"gpu": Partition("gpu", True, None, (NodeShape(4, 8, 0, ()),), state="drain")})
    arrays = [TaskArray("01-train", {0: "01-train-000"}, SMALL, ())]
    (problem,) = find_problems(arrays, table({"train": [[job("a", trace)]]}), CLUSTER, site, {})
    assert str(problem) == "partition 'gpu' is drain\n  = wait, or choose another `partition`"


@pytest.mark.parametrize(
    ("state", "kind", "cause"),
    [
        ("OUT_OF_MEMORY", "failed", "out of memory"),
        ("TIMEOUT", "failed", "time limit"),
        ("NODE_FAIL", "failed", "node failed"),
        ("PREEMPTED", "failed", "preempted and not requeued"),
        ("REVOKED", "cancelled", "cancelled"),
        ("FAILED", "failed", "did not start"),
        ("SPECIAL", "failed", "the job ended as SPECIAL"),
    ],
)
def test_a_task_that_left_no_word_ended_as_the_accounting_says(
    store: Store, record: SubmissionRecord, monkeypatch: pytest.MonkeyPatch, state: str, kind: str, cause: str
) -> None:
    """What a retry goes by: only memory and time are asked for again, and more of them."""
    monkeypatch.setattr(scheduler, "queue", lambda *_: [])
    monkeypatch.setattr(scheduler, "accounting", lambda *_: [AccountingEntry("7_0", state, "n1")])
    output_path(record.run.folder, "01-train", 0).write_text("the last word\n")
    (task,) = read_status(store, record).tasks
    assert (task.state, task.cause, task.node, task.message) == (kind, cause, "n1", "the last word")


@pytest.mark.parametrize(
    ("began", "state", "told"),
    [
        (False, "cancelled", ("cancelled", "it left the queue unstarted")),
        (True, "failed", ("SLURM does not know its job any more", "")),
    ],
)
def test_of_a_task_that_slurm_has_forgotten_its_output_tells_whether_it_began(
    store: Store,
    record: SubmissionRecord,
    monkeypatch: pytest.MonkeyPatch,
    began: bool,
    state: str,
    told: tuple[str, str],
) -> None:
    monkeypatch.setattr(scheduler, "queue", lambda *_: [])
    monkeypatch.setattr(scheduler, "accounting", lambda *_: None)
    if began:
        output_path(record.run.folder, "01-train", 0).touch()
    (task,) = read_status(store, record).tasks
    assert (task.state, task.cause, task.message) == (state, *told)


def test_a_task_that_slurm_dropped_while_all_that_it_needs_is_there_says_so(
    store: Store, record: SubmissionRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a parent that failed and was made by another run: to run it again is enough."""
    name = record.job_names[0]
    dropped = QueueEntry("7", 0, name, "CANCELLED", "DependencyNeverSatisfied", "")
    monkeypatch.setattr(scheduler, "queue", lambda *_: [dropped])
    (task,) = read_status(store, record).tasks
    assert (task.state, task.message) == ("blocked", "SLURM dropped it although what it needs is in the store")


@pytest.mark.parametrize(
    ("state", "left", "remembered", "what"),
    [
        ("FAILED", "7", 0, "the probe ended with exit code 7"),
        ("FAILED", "", 7, "the probe ended with exit code 7"),
        ("NODE_FAIL", "", 0, "the probe ended as NODE_FAIL"),
        ("", "", 0, "the probe ended and left no findings"),
    ],
)
def test_a_probe_that_says_nothing_of_itself_is_explained_by_what_is_left_of_it(
    record: SubmissionRecord, monkeypatch: pytest.MonkeyPatch, state: str, left: str, remembered: int, what: str
) -> None:
    monkeypatch.setattr(scheduler, "exit_code", lambda job: remembered)
    if left:
        exit_path(record.run.folder).write_text(left)
    problem = explain(record, ProbeState("failed", "8", state))
    assert problem.what == what
    assert "traitgraph doctor" in problem.hint


def test_who_submits_while_another_call_does_not_end_is_sent_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_runs, "CLAIM_SECONDS", 0.0)
    with (
        submitting_alone(store),
        Store(store.root) as other,
        pytest.raises(BusyError, match="another call of yours is submitting"),
        submitting_alone(other),
    ):
        pass


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exec sleep 60", "sbatch did not answer within 0.5 s; try again later"),
        ("echo 'sbatch: error: Invalid account' >&2; exit 1", "sbatch: Invalid account"),
        ("exit 3", "sbatch: exit code 3"),
    ],
)
def test_a_command_of_slurm_that_fails_gives_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SchedulerError) as refused:
        scheduler.call("sbatch", seconds=0.5)
    assert str(refused.value) == told


def test_what_is_no_job_id_is_shown() -> None:
    with pytest.raises(SchedulerError, match="sbatch printed no job id, but: try again at noon"):
        scheduler.job_id("try again\n at noon\n")
