"""A training as the only task of a run, done by real worker processes, alone or under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from traitgraph.launchers.worker_process import worker_environment
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task, TrainParams
from traitgraph.specs.source.hashing import digest

TASK = "01-train-000"
CHECKOUT = Path(__file__).parents[3]


@dataclass
class TrainingRun:
    """One training on a store of its own."""

    root: Path
    params: TrainParams
    locations: dict[str, str]
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = digest("train", self.root.name)

    def start(
        self, processes: int = 1, worker: str = "tests.runtime.training.eager_worker", **environment: str
    ) -> Started:
        """Start the worker processes of a new run."""
        row = JobRow(key=self.key, kind="train", version=1, params=self.params.model_dump(mode="json"), label="train")
        table = JobTable(
            study="torchrun", locations=self.locations, rows=(row,), tasks=(Task(id=TASK, jobs=(self.key,)),)
        )  # fmt: skip
        record = RunRecord.create(self.root, table)
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
        command = [sys.executable, *(torchrun if processes > 1 else ["-m"]), worker]
        settings = worker_environment({**os.environ, **environment}, ["train"], cores=1)
        process = subprocess.Popen(
            [*command, str(record.table_path), TASK, "--store", str(self.root)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings, cwd=CHECKOUT,
        )  # fmt: skip
        return Started(record, process)

    def checkpoints(self) -> list[int]:
        """Steps of the finished checkpoints in the store."""
        marks = (self.root / "partial" / self.key).glob("checkpoint-*/complete")
        return sorted(int(mark.parent.name.rpartition("-")[2]) for mark in marks)

    def adapter(self) -> bytes:
        """The trained tensors, from a verified artifact."""
        return (self._artifact() / "adapter" / "adapter_model.safetensors").read_bytes()

    def losses(self) -> list[float]:
        """The loss of every step."""
        losses: list[float] = json.loads((self._artifact() / "training.json").read_text())["losses"]
        return losses

    def _artifact(self) -> Path:
        with Store(self.root) as store:
            return store.open("train", self.key).path


@dataclass
class Started:
    """Worker processes of one run."""

    record: RunRecord
    process: subprocess.Popen[str]

    def end(self, seconds: float = 180.0) -> tuple[int, str]:
        """Exit code and all output, once they have ended."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


def steps_of(output: str) -> list[int]:
    """Steps of a training that the events of its worker tell of."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith('{"event"')]
    return [event["done"] for event in events if event["event"] == "progress"]
