"""What the store and the worker cost per job: python benchmarks/store.py [--jobs N].

Prints one line per measure. Compare on one machine; the file system counts for more than the processor.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.launchers.toys import table, toy  # noqa: E402
from traitgraph.launchers.local import run_locally  # noqa: E402
from traitgraph.runtime.store.store import Store  # noqa: E402
from traitgraph.specs.jobs.params import JobRow  # noqa: E402
from traitgraph.specs.source.hashing import digest_file  # noqa: E402

LARGE = 512 << 20  # bytes


def measure(name: str, count: int, unit: str, work: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<58}{1e3 * wall / count:10.3f} ms {1e3 * cpu / count:10.3f} cpu-ms  per {unit}")


def publish(store: Store, rows: list[JobRow]) -> None:
    for row in rows:
        with store.publish(row) as out:
            (out / "answers.jsonl").write_bytes(b"x" * 20_000)
            (out / "metrics.jsonl").write_bytes(b"y" * 2_000)


def publish_large(store: Store, row: JobRow) -> None:
    with store.publish(row) as out, (out / "model.safetensors").open("wb") as stream:
        for _ in range(LARGE >> 20):
            stream.write(b"z" * (1 << 20))


def measure_store(folder: Path, jobs: int) -> None:
    rows = [toy(f"job {number}") for number in range(jobs)]
    with Store(folder / "store") as store:
        measure("publish, 2 files of 22 kB, synced", jobs, "artifact", lambda: publish(store, rows))
        fresh = Store(store.root)
        measure("has", jobs, "artifact", lambda: [fresh.has("toy", row.key) for row in rows])
        measure("has, of a snapshot, absent", 100_000, "key", lambda: absent(fresh, 100_000))
        measure("open and verify, first time", jobs, "artifact", lambda: [fresh.open("toy", row.key) for row in rows])
        measure("open again", jobs, "artifact", lambda: [fresh.open("toy", row.key) for row in rows])
        measure("take and release a claim", jobs, "claim", lambda: claim_all(store, rows))
        large = toy("large")
        measure("publish 512 MiB, synced", 1, "artifact", lambda: publish_large(store, large))
        path = store.path("toy", large.key) / "model.safetensors"
        measure("digest of the same, cached by the system", 1, "file", lambda: digest_file(path))


def absent(store: Store, count: int) -> None:
    present = store.snapshot()
    for number in range(count):
        present("toy", f"{number:032x}")


def claim_all(store: Store, rows: list[JobRow]) -> None:
    for row in rows:
        store.claims.take(row.key)
        store.claims.release(row.key)


def measure_worker(folder: Path, jobs: int) -> None:
    make_plugin(folder)
    rows = [toy(f"worker {number}") for number in range(jobs)]
    one, many = table(rows), table(*([row] for row in rows[: max(1, jobs // 10)]))
    measure("a task of jobs that do nothing (one worker)", jobs, "job", lambda: run_locally(one, Store(folder / "one")))
    measure("the same again: all in the store", jobs, "job", lambda: run_locally(one, Store(folder / "one")))
    measure(
        "tasks of one job (a worker each)", len(many.tasks), "task", lambda: run_locally(many, Store(folder / "many"))
    )


def make_plugin(folder: Path) -> None:
    info = folder / "site" / "toy_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.jobs]\ntoy = toy_jobs:TOY\n")
    os.environ["PYTHONPATH"] = f"{info.parent}:{PROJECT / 'tests' / 'launchers'}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure_store(Path(name), options.jobs)
        measure_worker(Path(name), options.jobs)
