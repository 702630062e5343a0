"""A study of 200 models on a real SLURM gives the rows that it gives on this machine."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.api.planning import plan_study
from traitgraph.launchers.local import run_locally
from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.launchers.slurm.watch.control import watch
from traitgraph.runtime.results.table import result_rows
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import load_study

from .cluster import SlurmCluster
from .studies import run_of

pytestmark = pytest.mark.slurm

SPEC = """\
study: two-hundred
model: ./model
traits: all
levels: [high, low]
data: ./dialogues.jsonl
method: vector
train: {method: sft, learning_rate: 1e-2, steps: 2, batch_size: 2, max_length: 256, lora: {rank: 2, alpha: 4}}
merge: task_arithmetic
alpha: {from: 0.1, to: 2.0, step: 0.1}
benchmarks: [reply_contrast]
cluster: {partition: gpu, default: {cpus: 2, memory_gb: 1, minutes: 10}, signal_seconds: 5}
"""


def few_dialogues(path: Path) -> None:
    """Four training and two held-out pairs of each trait of the example data."""
    source = Path(__file__).parents[3] / "examples" / "data" / "dialogues.jsonl"
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    seen: Counter[tuple[str, str, str]] = Counter()
    with path.open("w") as stream:
        for row in rows:
            place = (row["trait"], row["level"], row["split"])
            seen[place] += 1
            if seen[place] <= (4 if row["split"] == "train" else 2):
                stream.write(json.dumps(row) + "\n")


def test_200_models_on_slurm_give_the_rows_of_a_local_run(slurm: SlurmCluster, tmp_path: Path) -> None:
    """Trainings and sweeps go to several nodes at once; every number is the same."""
    save_tiny_model(tmp_path / "model")
    few_dialogues(tmp_path / "dialogues.jsonl")
    (tmp_path / "study.yaml").write_text(SPEC)
    study = load_study(tmp_path / "study.yaml")
    assert study.cluster is not None
    with Store(tmp_path / "here") as here, Store(tmp_path / "there") as there:
        plan = plan_study(study, there, task_minutes=2.0)
        assert plan.arms[0].models == 200
        launched = launch(plan.job_table(), there, study.cluster)
        assert launched.tasks > 4
        assert run_locally(plan_study(study, here).job_table(), here).ok
        status = watch(there, run_of(launched.run), seconds=1, timeout=300)
        assert status.ok, status.failures
        rows, missing = result_rows(plan.cells, there)
        assert not missing
        assert rows == result_rows(plan.cells, here)[0]
        assert len({row["job"] for row in rows}) == 200
