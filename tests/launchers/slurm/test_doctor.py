"""Whether a site will do: what `doctor` finds on a real SLURM, and how it tells it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from traitgraph.launchers.slurm.submit import launch as launching
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, launch
from traitgraph.launchers.slurm.watch.control import watch
from traitgraph.launchers.slurm.watch.doctor import examine
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import Resources

from .cluster import SlurmCluster, wait_until
from .reach import lacking
from .studies import CLUSTER, chain, job, run_of, table

pytestmark = pytest.mark.slurm


def test_the_doctor_finds_nothing_wrong_with_a_good_site(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    """What a cluster file asks for jobs that the study does not have is no fault."""
    cluster = CLUSTER.model_copy(update={"kinds": {"train": Resources(gpus=5)}})
    checks = list(examine(store, cluster, chain(trace)))
    assert [str(check) for check in checks if not check.ok] == []
    names = {check.name for check in checks}
    assert any(check.name == "partition gpu" and "2 GPUs fake" in check.found for check in checks)
    assert {"array size", "requeue", "accounting", "interpreter", "store", "scontrol", "GPUs", "hub cache"} <= names
    assert not list((store.root / "runs").iterdir())


@pytest.mark.parametrize(
    ("changes", "name", "found"),
    [
        ({"partition": "preemt"}, "cluster file", "partition 'preemt' does not exist on this cluster"),
        ({"kinds": {"steps": Resources(gpus=5)}}, "cluster file", "5 GPUs on one node"),
        ({"python": "/no/python"}, "compute node", "there is no interpreter /no/python on the compute nodes"),
        ({"python": "/bin/false"}, "compute node", "cannot run traitgraph"),
    ],
)
def test_the_doctor_names_what_to_fix(
    slurm: SlurmCluster, store: Store, trace: Path, changes: dict[str, object], name: str, found: str
) -> None:
    cluster = CLUSTER.model_copy(update=changes)
    bad = [check for check in examine(store, cluster, chain(trace)) if not check.ok]
    assert any(check.name == name and found in check.found and check.repair for check in bad), bad


def test_the_doctor_asks_every_partition_that_the_study_uses(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    rows = [job("a", trace), job("b", trace).model_copy(update={"kind": "collect"})]
    cluster = CLUSTER.model_copy(update={"kinds": {"collect": Resources(partition="preempt")}})
    checks = list(examine(store, cluster, table({"train": [[rows[0]]], "end": [[rows[1]]]})))
    asked = {check.found.rpartition(", ")[2] for check in checks if check.name == "interpreter"}
    assert asked == {"partition gpu", "partition preempt"}


def test_the_doctor_says_why_its_probe_did_not_start_in_the_time_it_was_given(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    later = CLUSTER.model_copy(update={"options": {"begin": "now+1hour"}})
    (bad,) = [check for check in examine(store, later, chain(trace), probe_seconds=3) if not check.ok]
    assert "did not end within 3 s (BeginTime" in bad.found
    assert "--timeout" in bad.repair
    wait_until(lambda: not slurm.call("squeue", "-h").strip(), "its job is cancelled", seconds=20)


def test_the_doctor_finds_that_a_task_gets_no_gpu_no_model_and_no_file(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path
) -> None:
    """As on a partition without GPUs, where the cache of the model hub and the data lie on the login node alone."""
    setup = (
        "export CUDA_VISIBLE_DEVICES= ROCR_VISIBLE_DEVICES= SLURM_JOB_GPUS=",
        "export HF_HUB_OFFLINE=1",
        f"export HF_HOME={tmp_path}/hf",
    )
    model = {"kind": "hub", "id": "somebody/model", "revision": "main"}
    study = table({"train": [[job("a", trace, model=model)]]})
    study = study.model_copy(update={"locations": {"0" * 32: str(tmp_path / "gone.jsonl")}})
    cluster = CLUSTER.model_copy(update={"setup": setup, "kinds": {"steps": Resources(gpus=1)}})
    bad = {check.name: check for check in examine(store, cluster, study) if not check.ok}
    assert set(bad) == {"GPUs", "hub cache", "files"}
    assert "1 asked for, 0 given on n" in bad["GPUs"].found
    assert "no somebody/model in" in bad["hub cache"].found
    assert "hf download somebody/model --revision main" in bad["hub cache"].repair
    assert "gone.jsonl" in bad["files"].found


@pytest.fixture
def blind_node(slurm: SlurmCluster, store: Store) -> Iterator[str]:
    """A node on which the store's folder is hidden by another file system, as when it is local to the login node."""
    store.root.mkdir()
    slurm.kill_node("n4")
    hidden = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {store.root} && slurmd -N n4"]
    environment = {**os.environ, **slurm.environment}
    if subprocess.run(hidden, env=environment, capture_output=True, timeout=30, check=False).returncode:
        slurm.start_node("n4")
        lacking("needs the right to mount in a namespace of its own")
    yield "n4"
    slurm.kill_node("n4")
    slurm.start_node("n4")
    slurm.wait_idle()


def test_a_store_that_compute_nodes_do_not_see_is_named_by_doctor_at_submission_and_by_status(
    slurm: SlurmCluster, store: Store, trace: Path, blind_node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = CLUSTER.model_copy(update={"options": {"nodelist": blind_node}})
    assert any("do not see the store" in check.found for check in examine(store, cluster, chain(trace)))
    with pytest.raises(SubmissionRefusedError, match="do not see the store"):
        launch(chain(trace), store, cluster)
    monkeypatch.setattr(launching, "PROBE_SECONDS", 0.0)  # as where the queue is long
    launched = launch(chain(trace), store, cluster)
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=180)
    assert "do not see the store" in status.failures[0].message
    wait_until(lambda: not slurm.call("squeue", "-h").strip(), "queue empty", seconds=20)
