"""Runs of one user that overlap: no job stands in the queue twice, and what needs the jobs of another run waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from traitgraph.launchers.slurm.record.record import slurm_runs
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, launch
from traitgraph.launchers.slurm.watch.control import retry, watch
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import SiteLimits

from .cluster import SlurmCluster, wait_until
from .studies import CLUSTER, chain, job, results, run_of, starts, table, undisturbed

pytestmark = pytest.mark.slurm


def test_only_what_failed_and_what_needs_it_is_submitted_while_the_rest_still_runs(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    slow = [job(f"slow{i}", trace, until="told") for i in range(3)]
    bad = job("bad", trace, fail_once="not yet")
    study = table({"train": [[row] for row in (*slow, bad)], "end": [[job("end", trace, *slow, bad)]]})
    first = launch(study, store, CLUSTER, probe=False)
    wait_until(lambda: run_of(first.run).run.failures(), "bad has failed")
    second = launch(study, store, CLUSTER, probe=False)
    assert (second.jobs, second.elsewhere) == (2, {first.run.name: 3})
    edges = {line.split()[0]: line.split()[1] for line in slurm.call("squeue", "-h", "-o", "%j %E").splitlines()}
    made_there = run_of(first.run).submitted()[0].job
    assert f"afterany:{made_there}_*" in edges[f"{second.run.name}.02-end"]
    (trace / "told").touch()
    assert watch(store, run_of(second.run), seconds=0.3, timeout=180).ok
    assert results(store, study) == undisturbed(study)
    assert [starts(trace, f"slow{i}") for i in range(3)] == [1, 1, 1]


def test_a_changed_study_leaves_to_the_run_before_it_what_they_share(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    source = job("source", trace, until="told")
    before = table({"train": [[source]], "assess": [[job("old", trace, source)]]})
    after = table({"train": [[source]], "assess": [[job("new", trace, source)]]})
    first = launch(before, store, CLUSTER, probe=False)
    second = launch(after, store, CLUSTER, probe=False)
    assert (second.jobs, second.elsewhere) == (1, {first.run.name: 1})
    both = table({"all": [[source], [before.rows[1]], [after.rows[1]]]})
    third = launch(both, store, CLUSTER, probe=False)
    assert (third.jobs, third.calls, sum(third.elsewhere.values())) == (0, 0, 3)
    (trace / "told").touch()
    assert watch(store, run_of(second.run), seconds=0.3, timeout=180).ok
    assert results(store, after) == undisturbed(after)
    assert starts(trace, "source") == 1


def test_two_calls_at_once_submit_one_run(slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path) -> None:
    study = chain(trace, until="never")
    frozen = tmp_path / "table.json"
    frozen.write_text(study.model_dump_json())
    call = [sys.executable, "-m", "tests.launchers.slurm.launch_once", str(frozen), str(store.root)]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted("taken up again" in text for text in said) == [False, True]
    assert len(list(slurm_runs(store))) == 1


def test_a_second_retry_takes_up_the_first(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = table({"train": [[job("late", trace, fail_once="not yet", until="never")]]})
    launched = launch(study, store, CLUSTER, probe=False)
    assert not watch(store, run_of(launched.run), seconds=0.3, timeout=180).ok
    first, second = (retry(store, run_of(launched.run)).launch for _ in range(2))
    assert first is not None
    assert second is not None
    assert (second.run, second.calls) == (first.run, 0)
    entries = scheduler.queue(run_of(first.run).job_names)
    assert len({entry.job for entry in entries if entry.index is not None}) == 1


def test_jobs_that_another_run_has_yet_to_submit_are_waited_for(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    cluster = CLUSTER.model_copy(update={"limits": SiteLimits(submitted=4)})
    rows = [job(f"w{i}", trace, until="never") for i in range(6)]
    first = launch(table({"work": [[row] for row in rows]}), store, cluster, probe=False)
    assert first.waiting
    more = table({"work": [[row] for row in [*rows, job("more", trace)]]})
    with pytest.raises(SubmissionRefusedError, match="not all of it is in the queue yet"):
        launch(more, store, cluster, probe=False)
