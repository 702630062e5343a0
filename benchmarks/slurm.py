"""What SLURM costs us: submission, overhead per task, and questions to the controller, beside the usual ways.

Starts a real SLURM on this machine (Debian packages; root), so nothing outside is touched.

    python benchmarks/slurm.py                    everything, a few minutes
    python benchmarks/slurm.py --hydra FOLDER     hydra-submitit-launcher, installed in FOLDER by pip --target, too
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout: the test SLURM is not part of the package

from tests.launchers.slurm.cluster import Settings, SlurmCluster, running, wait_until
from tests.launchers.slurm.reach import plugin_path
from tests.launchers.slurm.studies import CLUSTER, job, run_of, table
from traitgraph.launchers.slurm.submit.launch import launch
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.study.cluster import SiteLimits

THROTTLE = 16
NO_OPS = 200
HYDRA_APP = """\
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=None, config_name=None)
def main(config: DictConfig) -> None:
    pass

main()
"""


def sweep(trace: Path, studies: int) -> JobTable:
    """`studies` times the graph of 621 jobs: 10 trainings, 10 vectors, 200 merges, 400 assessments, 1 table.

    One task for each job, the worst case: a real plan packs them.
    """
    train = [job(f"t{s}-{i}", trace, steps=0) for s in range(studies) for i in range(10)]
    vector = [job(f"v-{row.label}", trace, row, steps=0) for row in train]
    merge = [job(f"m-{row.label}-{a}", trace, row, steps=0) for row in vector for a in range(20)]
    assess = [job(f"a-{row.label}-{b}", trace, row, steps=0) for row in merge for b in range(2)]
    end = [job(f"end-{s}", trace, *assess[s * 400 : (s + 1) * 400], steps=0) for s in range(studies)]
    return table(
        {"train": one(train), "vector": one(vector), "merge": one(merge), "assess": one(assess), "end": one(end)}
    )


def one(rows: list[JobRow]) -> list[list[JobRow]]:
    return [[row] for row in rows]


def files_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def rpcs(cluster: SlurmCluster) -> int:
    """Calls that the controller has answered so far, its own and those of nodes and of sdiag left out."""
    text = cluster.call("sdiag")
    by_type = text.partition("Remote Procedure Call statistics by message type")[2].partition("by user")[0]
    ours = ("SUBMIT_BATCH_JOB", "JOB_INFO", "UPDATE_JOB", "PARTITION_INFO", "NODE_INFO", "BUILD_INFO", "PING")
    return sum(
        int(count) for name, count in re.findall(r"REQUEST_(\w+)\s.*count:(\d+)", by_type) if name.startswith(ours)
    )


@contextlib.contextmanager
def counted(cluster: SlurmCluster, what: str, folder: Path | None = None) -> Iterator[None]:
    before, started = rpcs(cluster), time.monotonic()
    yield
    seconds = time.monotonic() - started
    files = f", {files_in(folder):,} files" if folder else ""
    print(f"{what}: {seconds:.2f} s, {rpcs(cluster) - before} RPCs{files}", flush=True)


def clear(cluster: SlurmCluster) -> None:
    cluster.call("scancel", "--user=root", check=False)
    wait_until(lambda: not cluster.call("squeue", "-h").strip(), "queue empty", seconds=120)


# ---------------------------------------------------------------- submission


def submission(cluster: SlurmCluster, folder: Path, hydra: Path | None) -> None:
    print("\n## Submission")
    for studies in (1, 10):
        (trace := folder / f"trace{studies}").mkdir()
        plan = sweep(trace, studies)
        with Store(folder / f"store{studies}") as store:
            with counted(cluster, f"traitgraph, {len(plan.rows):,} jobs, one task each", store.root):
                launched = launch(plan, store, CLUSTER.model_copy(update={"limits": SiteLimits(submitted=10_000)}))
            print(f"  {launched.text()}")
            record = run_of(launched.run)
            with counted(cluster, "  one look at its status"):
                read_status(store, record)
        clear(cluster)
    submitit(cluster, folder)
    if hydra:
        hydra_launcher(cluster, folder, hydra)


def submitit(cluster: SlurmCluster, folder: Path) -> None:
    import submitit as library

    ways: dict[str, Callable[[Any], object]] = {
        "submitit, 621 jobs one by one": lambda executor: [executor.submit(str, n) for n in range(621)],
        "submitit, 621 jobs in one array, no graph": lambda executor: executor.map_array(str, range(621)),
        "submitit, 6,210 jobs in one array": lambda executor: executor.map_array(str, range(6210)),
    }
    for label, submit in ways.items():
        place = folder / re.sub(r"\W+", "-", label)
        executor = library.AutoExecutor(place, cluster="slurm")
        executor.update_parameters(
            timeout_min=5, mem_gb=0.1, slurm_partition="gpu", slurm_additional_parameters={"hold": True}
        )
        try:
            with counted(cluster, label, place):
                submit(executor)
        except Exception as error:
            print(f"{label}: refused: {str(error).strip().splitlines()[-1]}")
        clear(cluster)


def hydra_launcher(cluster: SlurmCluster, folder: Path, installed: Path) -> None:
    """It returns when all jobs have ended; measured is the time until they are in the queue, held there."""
    app = folder / "app.py"
    app.write_text(HYDRA_APP)
    words = [sys.executable, str(app), "-m", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    words += [
        "hydra.launcher.mem_gb=1",
        "+hydra.launcher.additional_parameters.hold=true",
        f"hydra.sweep.dir={folder}/hydra",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{installed}:{os.environ.get('PYTHONPATH', '')}"}
    with counted(cluster, "hydra-submitit-launcher, 621 jobs, no graph", folder / "hydra"):
        sweeper = subprocess.Popen(
            [*words, f"+n=range({621})"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(
            lambda: len(cluster.call("squeue", "-h", "-r", "-o", "%i").split()) >= 621, "621 in the queue", seconds=300
        )
    sweeper.kill()
    sweeper.wait()
    clear(cluster)


# ---------------------------------------------------------------- overhead


def overhead(cluster: SlurmCluster, folder: Path) -> None:
    print(f"\n## {NO_OPS} tasks that do nothing, {THROTTLE} at once")

    def bare() -> None:
        option = f"--array=0-{NO_OPS - 1}%{THROTTLE}"
        cluster.call("sbatch", "-p", "gpu", "--mem=50M", option, "-o", "/dev/null", "--wrap", "true")
        wait_until(lambda: not cluster.call("squeue", "-h").strip(), "bare array", seconds=300)

    def python() -> None:
        option, start = f"--array=0-{NO_OPS - 1}%{THROTTLE}", f"{sys.executable} -c 'import pydantic'"
        cluster.call("sbatch", "-p", "gpu", "--mem=50M", option, "-o", "/dev/null", "--wrap", start)
        wait_until(lambda: not cluster.call("squeue", "-h").strip(), "python array", seconds=300)

    def with_submitit() -> None:
        import submitit as library

        executor = library.AutoExecutor(folder / "noop", cluster="slurm")
        executor.update_parameters(timeout_min=5, mem_gb=0.05, slurm_partition="gpu", slurm_array_parallelism=THROTTLE)
        executor.map_array(str, range(NO_OPS))
        wait_until(lambda: not cluster.call("squeue", "-h").strip(), "submitit array", seconds=300)

    def ours(packed: int) -> Callable[[], None]:
        def run() -> None:
            (trace := folder / f"noop-trace{packed}").mkdir()
            rows = [job(f"n{i}", trace, steps=0) for i in range(NO_OPS)]
            plan = table({"work": [rows[i : i + packed] for i in range(0, NO_OPS, packed)]})
            with Store(folder / f"noop-store{packed}") as store:
                launch(plan, store, CLUSTER.model_copy(update={"throttle": THROTTLE}), probe=False)
                wait_until(lambda: not cluster.call("squeue", "-h").strip(), "our array", seconds=300)
                assert all(store.has(row.kind, row.key) for row in rows)

        return run

    for label, run in {
        "bare sbatch, `true`": bare,
        "bare sbatch, python that imports pydantic": python,
        "submitit, one array": with_submitit,
        "traitgraph, one task per job": ours(1),
        "traitgraph, ten jobs a task": ours(10),
    }.items():
        started = time.monotonic()
        run()
        seconds = time.monotonic() - started
        print(f"{label}: {seconds:.1f} s, {1000 * seconds / NO_OPS:.0f} ms a job", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hydra", type=Path, help="where hydra-submitit-launcher is installed")
    parser.add_argument("--only", choices=("submission", "overhead"), help="one part only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(Settings(nodes=4)) as cluster:
        folder = Path(name)
        os.environ |= {**cluster.environment, "PYTHONPATH": plugin_path(folder), "OMP_NUM_THREADS": "1"}
        print(f"{os.cpu_count()} cores, {cluster.call('sinfo', '--version').strip()}, Python {sys.version.split()[0]}")
        if options.only != "overhead":
            submission(cluster, folder, options.hydra)
        if options.only != "submission":
            overhead(cluster, folder)


if __name__ == "__main__":
    main()
