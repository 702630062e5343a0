"""One training on two nodes: torchrun inside the allocation, rendezvous from SLURM's variables, one artifact."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model
from traitgraph.launchers.slurm.submit.launch import Launch, SubmissionRefusedError, launch
from traitgraph.launchers.slurm.watch.control import watch
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task, TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest, digest_path
from traitgraph.specs.study.cluster import Resources
from traitgraph.specs.study.training import Lora, SftTraining

from .cluster import SlurmCluster, wait_until
from .studies import CLUSTER, run_of

pytestmark = pytest.mark.slurm
STEPS = 40


@pytest.fixture
def training(tmp_path: Path) -> JobTable:
    """One supervised training of a tiny model, four rows a step."""
    model = save_tiny_model(tmp_path / "model")
    data = write_dialogues(tmp_path / "dialogues.jsonl")
    params = TrainParams(
        model=FolderModel(digest=digest_path(model)),
        data=FileData(digest=digest_path(data)),
        training=SftTraining(learning_rate=1e-2, steps=STEPS, batch_size=2, lora=Lora(rank=4, alpha=8)),
        trait="extraversion",
        level="high",
        seed=7,
    )
    key = digest("train", "two nodes")
    row = JobRow(key=key, kind="train", version=1, params=params.model_dump(mode="json"), label="train extraversion")
    locations = {digest_path(path): str(path) for path in (model, data)}
    return JobTable(study="nodes", locations=locations, rows=(row,), tasks=(Task(id="01-train-000", jobs=(key,)),))


ONE_NODE = CLUSTER.model_copy(update={"default": Resources(nodes=1, cpus=2, memory_gb=1, minutes=10)})
TWO_NODES = CLUSTER.model_copy(update={"default": Resources(nodes=2, cpus=2, memory_gb=1, minutes=10)})


def log_of(launched: Launch) -> str:
    path = launched.run / "logs" / "01-train-000.log"
    return path.read_text() if path.exists() else ""


def steps_of(launched: Launch) -> list[int]:
    """Steps that the log tells of; some are left out where they are quick."""
    return [int(step) for step in re.findall(r'"done": (\d+),', log_of(launched))]


def trained(store: Store, launched: Launch, table: JobTable) -> tuple[dict[str, object], Path]:
    """The record and the adapter of a training, once it is done."""
    status = watch(store, run_of(launched.run), seconds=0.5, timeout=600)
    assert status.ok, (status, log_of(launched))
    folder = store.open("train", table.rows[0].key).path
    return json.loads((folder / "training.json").read_text()), folder / "adapter" / "adapter_model.safetensors"


def warn_node(launched: Launch, node: int) -> None:
    """Tell one node of a task that its time is nearly up, as when SLURM's signal reaches the other one later."""
    command = f"slurm.node.array_task {launched.run}"
    found = subprocess.run(["pgrep", "-f", command], capture_output=True, text=True, check=True).stdout.split()
    (element,) = (
        int(pid)
        for pid in found
        if f"SLURM_NODEID={node}\0" in Path(f"/proc/{pid}/environ").read_text()
        and Path(f"/proc/{pid}/comm").read_text().startswith("python")
    )
    os.kill(element, signal.SIGUSR2)


@pytest.mark.parametrize("warned", [0, 1])
def test_two_processes_on_two_nodes_train_what_one_process_trains(
    slurm: SlurmCluster, training: JobTable, tmp_path: Path, warned: int
) -> None:
    """Each step sees the same rows, so losses and weights are equal up to the order of float additions.

    One node of the training on two is warned in the middle; both save, and it goes on from its checkpoint.
    """
    from safetensors.torch import load_file
    from torch import allclose

    with Store(tmp_path / "one") as one, Store(tmp_path / "two") as two:
        launched = launch(training, two, TWO_NODES, probe=False)
        on_one_node = launch(training, one, ONE_NODE, probe=False)
        wait_until(lambda: max(steps_of(launched), default=0) > 2, "at step 3", seconds=90)
        warn_node(launched, warned)
        alone, alone_file = trained(one, on_one_node, training)
        record, file = trained(two, launched, training)
    log = log_of(launched)
    assert len(set(re.findall(r"is job \S+ on (n\d)", log))) == 2
    assert log.count('"job_started"') == 2
    assert steps_of(launched) == sorted(set(steps_of(launched))), "no step was done twice"
    assert record["steps"] == alone["steps"] == STEPS
    assert record["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    ours, theirs = load_file(file), load_file(alone_file)
    assert ours.keys() == theirs.keys()
    assert all(allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_a_step_that_cannot_be_shared_evenly_is_refused_before_it_waits(
    slurm: SlurmCluster, training: JobTable, tmp_path: Path
) -> None:
    row = training.rows[0]
    given = row.params["training"]
    assert isinstance(given, dict)
    odd = row.model_copy(update={"params": {**row.params, "training": {**given, "batch_size": 1}}})
    refusal = pytest.raises(SubmissionRefusedError, match=r"2 training processes, .* cannot share a step of 1 row")
    with Store(tmp_path / "store") as store, refusal:
        launch(training.model_copy(update={"rows": (odd,)}), store, TWO_NODES, probe=False)
