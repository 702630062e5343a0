"""How the GPUs that a cluster file asks for share a training, and what keeps them from it."""

from __future__ import annotations

import pytest

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.layout.task_resources import processes_on_node
from traitgraph.launchers.slurm.submit.problems import training_problems
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.study.cluster import Resources


def faults(asked: Resources, *, batch_size: int = 6, accumulation: int = 1, kind: str = "train") -> list[str]:
    """What is wrong with an array of one task of one job."""
    training = {"batch_size": batch_size, "accumulation": accumulation}
    row = JobRow(key="a" * 32, kind=kind, version=1, params={"training": training}, label="")
    table = JobTable(study="s", locations={}, rows=(row,), tasks=(Task(id="t-000", jobs=(row.key,)),))
    return [str(each) for each in training_problems([TaskArray("t", {0: "t-000"}, asked)], table)]


def test_each_gpu_has_a_process_of_a_training_unless_one_spreads_the_model() -> None:
    four = Resources(gpus=4)
    assert processes_on_node(four, ["train"]) == processes_on_node(four, ["train_joint", "train"]) == 4
    assert processes_on_node(four.model_copy(update={"model_parallel": True}), ["train"]) == 1
    assert processes_on_node(four, ["assess"]) == processes_on_node(four, ["train", "assess"]) == 1
    assert processes_on_node(Resources(), ["train"]) == 1


@pytest.mark.parametrize(
    ("gpus", "nodes", "repair"), [(4, 1, "gpus: 3"), (5, 1, "gpus: 3"), (2, 2, "gpus: 1"), (1, 4, "nodes: 1")]
)
def test_a_step_that_gpus_cannot_share_is_told_before_anything_waits_in_a_queue(
    gpus: int, nodes: int, repair: str
) -> None:
    (told,) = faults(Resources(gpus=gpus, nodes=nodes))
    assert f"{gpus * nodes} training processes, one for each GPU, cannot share a step of 6 rows" in told
    assert f"{{train: {{{repair}}}}}" in told


@pytest.mark.parametrize("gpus", [0, 1, 2, 3, 6])
def test_an_even_share_is_fine(gpus: int) -> None:
    assert faults(Resources(gpus=gpus)) == []
    assert faults(Resources(gpus=gpus), batch_size=2, accumulation=3) == []


def test_what_shares_nothing_needs_no_even_share() -> None:
    assert faults(Resources(gpus=4), kind="assess") == []
    assert faults(Resources(gpus=4, model_parallel=True)) == []
    (told,) = faults(Resources(gpus=4, nodes=2, model_parallel=True))
    assert "over the GPUs of 2 nodes" in told
