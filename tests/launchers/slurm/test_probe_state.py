"""The probe of a site's first run on a real SLURM: nothing starts while it waits, and nothing at all once it failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit import launch as launching
from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.launchers.slurm.submit.probe_state import PROBE_FAILED
from traitgraph.launchers.slurm.submit.submit import _Submission
from traitgraph.launchers.slurm.watch.control import retry, watch
from traitgraph.launchers.slurm.watch.run_status import RunStatus, status_text
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import SiteLimits

from .cluster import SlurmCluster
from .studies import CLUSTER, job, results, run_of, settled, table, undisturbed

pytestmark = pytest.mark.slurm
NO_PYTHON = CLUSTER.model_copy(update={"python": "/no/such/python"})


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the queue is longer than `run` waits for its probe."""
    monkeypatch.setattr(launching, "PROBE_SECONDS", 0.0)


def packed(trace: Path) -> JobTable:
    """Two trainings, and a task that makes what it can of either: its edge is `afterany`."""
    train = [job("a", trace), job("b", trace)]
    assess = [job("of a", trace, train[0]), job("of b", trace, train[1])]
    return table({"train": [[row] for row in train], "assess": [assess], "end": [[job("end", trace, *assess)]]})


def over(store: Store, run: Path) -> RunStatus:
    status = watch(store, run_of(run), seconds=0.3, timeout=180)
    assert not status.is_active, status
    return status


def test_a_probe_that_fails_after_the_login_process_has_left_is_the_cause_of_all_and_nothing_has_started(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = launch(packed(trace), store, NO_PYTHON)
    status = over(store, launched.run)
    text = status_text(status)
    assert "there is no interpreter /no/such/python on the compute nodes\n  = set `python`" in text
    assert [failure.cause for failure in status.failures].count(PROBE_FAILED) == 2
    assert {failure.cause for failure in status.failures} == {PROBE_FAILED, "blocked"}
    assert status.exit_code == 1
    settled(launched.run)
    assert not list((launched.run / "slurm" / "accounts").iterdir())
    assert {path.name for path in (launched.run / "slurm" / "output").iterdir()} == {"probe.log"}
    assert all(Path(failure.log).is_file() for failure in status.failures if failure.log)
    monkeypatch.setattr(scheduler, "queue", lambda *_: [])  # as MinJobAge seconds later
    assert "there is no interpreter" in status_text(read_status(store, run_of(launched.run)))


def test_after_the_repair_the_next_try_asks_the_site_again_and_makes_everything(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    study = packed(trace)
    launched = launch(study, store, NO_PYTHON)
    over(store, launched.run)
    again = retry(store, run_of(launched.run), CLUSTER).launch
    assert again is not None
    assert over(store, again.run).ok
    assert run_of(again.run).probe_job
    assert results(store, study) == undisturbed(study)


def test_a_probe_that_fails_drops_the_continuation_too_and_waiting_ends(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    cluster = NO_PYTHON.model_copy(update={"limits": SiteLimits(submitted=4)})
    launched = launch(packed(trace), store, cluster)
    assert launched.waiting, "four tasks and the probe do not fit"
    status = over(store, launched.run)
    assert {task.state for task in status.tasks} == {"blocked"}


def test_whoever_takes_a_run_up_lets_it_wait_for_the_probe_that_is_there(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies when the probe is in the queue and nothing else."""
    study = packed(trace)
    with monkeypatch.context() as dying:
        dying.setattr(_Submission, "_submit_arrays", lambda self: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            launch(study, store, CLUSTER)
    launched = launch(study, store, CLUSTER)
    assert launched.resumed
    record = run_of(launched.run)
    jobs = {each.job for each in record.submitted() if each.indices}
    edges = {slurm.call("scontrol", "show", "job", job).partition("Dependency=")[2].split()[0] for job in jobs}
    ended = next(entry.state for entry in scheduler.queue(record.job_names) if entry.job == record.probe_job)
    assert ended == "COMPLETED" or all(f"afterok:{record.probe_job}" in edge for edge in edges), edges
    assert over(store, launched.run).ok
    assert results(store, study) == undisturbed(study)
