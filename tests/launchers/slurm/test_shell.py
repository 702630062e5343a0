"""Variables of the user's shell: heard where the cluster file is silent, and never by the questions that we ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.launchers.slurm.site.limits import read_limits
from traitgraph.launchers.slurm.site.scheduler import bare_environment, with_shell
from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.launchers.slurm.submit.submit import submit
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import Cluster, SiteLimits

from .cluster import SlurmCluster
from .studies import CLUSTER, SMALL, chain, job, run_of, table


def test_the_shell_speaks_where_the_cluster_file_is_silent() -> None:
    cluster = Cluster(partition="gpu", options={"reservation": "ours"})
    shell = {"SBATCH_PARTITION": "other", "SBATCH_ACCOUNT": "psych", "SBATCH_RESERVATION": "x", "SBATCH_WCKEY": "w"}
    found = with_shell(cluster, {**shell, "SBATCH_TIMELIMIT": "5", "SBATCH_QOS": ""})
    assert (found.partition, found.account, found.qos) == ("gpu", "psych", None)
    assert found.options == {"reservation": "ours", "wckey": "w"}


def test_what_a_job_has_of_its_own_is_not_taken_for_the_shell_of_the_user() -> None:
    assert with_shell(Cluster(), {"SBATCH_ACCOUNT": "psych", "SLURM_JOB_ID": "12"}) == Cluster()


def test_how_slurm_is_reached_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_CONF", "SLURM_JWT", "SLURM_TIME_FORMAT"):
        monkeypatch.setenv(name, "x")
    assert {name for name in bare_environment() if name.startswith("SLURM_")} == {"SLURM_CONF", "SLURM_JWT"}


@pytest.mark.slurm
def test_variables_for_queries_change_no_answer(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("SQUEUE", "SINFO", "SACCT", "SCANCEL"):
        monkeypatch.setenv(f"{command}_PARTITION", "short")
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    assert {"gpu", "short"} <= read_limits(CLUSTER, [SMALL]).partitions.keys()
    study = table({"train": [[job("slow", trace, steps=100, seconds=0.2)]]})
    launched = launch(study, store, CLUSTER, probe=False)
    assert read_status(store, run_of(launched.run)).is_active
    assert launch(study, store, CLUSTER, probe=False).resumed


@pytest.mark.slurm
def test_what_the_shell_said_at_the_submission_holds_for_what_a_continuation_submits(
    slurm: SlurmCluster, store: Store, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = SiteLimits(submitted=4)
    silent = CLUSTER.model_copy(update={"partition": None, "limits": limits})
    monkeypatch.setenv("SBATCH_JOB_NAME", "mine")  # taken by sbatch before what a script says, were it there
    launched = launch(chain(trace), store, with_shell(silent, {"SBATCH_PARTITION": "preempt"}), probe=False)
    monkeypatch.setenv("SBATCH_PARTITION", "harsh")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert launched.waiting
    record = run_of(launched.run)
    path = record.folder / "submission.json"
    path.write_text(path.read_text().replace('"submitted": 4', '"submitted": 400'))
    with store:
        assert submit(store, run_of(launched.run)).submitted == launched.waiting
    lines = [line.split() for line in slurm.call("squeue", "-h", "-t", "all", "-o", "%j %P").splitlines()]
    mine = [line for line in lines if line[0].startswith(launched.run.name)]
    assert {partition for _, partition in mine} == {"preempt"}
    assert {"01-train", "02-vector", "03-collect", "continue"} == {name.partition(".")[2] for name, _ in mine}
