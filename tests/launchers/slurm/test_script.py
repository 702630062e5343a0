"""The texts that reach SLURM, against golden files; `--rewrite-golden` writes them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.launchers.slurm.layout.layout import Edge, TaskArray
from traitgraph.launchers.slurm.layout.script import Site, array_script, continuation_script, index_ranges, probe_script
from traitgraph.launchers.slurm.site.limits import gpus_of
from traitgraph.launchers.slurm.site.scheduler import minutes_of
from traitgraph.launchers.slurm.submit.export import submit_script
from traitgraph.specs.study.cluster import Cluster, Resources

GOLDEN = Path(__file__).parents[2] / "golden" / "slurm"

PLAIN = Cluster(default=Resources(minutes=60))
RICH = Cluster(
    partition="gpu",
    account="psych",
    qos="long",
    constraint="a100&nvlink",
    gpu_request="gpus-per-node",
    setup=("module load cuda/12.4", "export HF_HOME=/scratch/hf"),
    python="/opt/env/bin/python",
    prefix=("apptainer", "exec", "--nv", "/images/lab image.sif"),
    scratch="/tmp",
    throttle=16,
    signal_seconds=120,
    options={"mail-type": "END"},
)
GPU = Resources(nodes=1, gpus=1, gpu_type="a100", cpus=8, memory_gb=64.5, minutes=240)


def rich(kind: Resources = GPU) -> Resources:
    return Resources(partition="gpu", account="psych", qos="long", constraint="a100&nvlink").under(kind)


def site(cluster: Cluster) -> Site:
    return Site(Path("/store/runs/sweep-1"), cluster, cluster.python or "/usr/bin/python3")


ARRAYS = (
    TaskArray("01-train", {0: "01-train-000", 1: "01-train-001"}, rich()),
    TaskArray("02-assess", {0: "02-assess-000", 1: "02-assess-001"}, rich(), (Edge("aftercorr", "01-train"),)),
    TaskArray("03-end", {0: "03-end-000"}, rich(), (Edge("afterok", "02-assess"), Edge("afterany", "01-train", 1))),
)
TEXTS = {
    "array.sh": lambda: array_script(TaskArray("01-train", {0: "a", 1: "b"}, PLAIN.default), site(PLAIN)),
    "array-rich.sh": lambda: array_script(ARRAYS[0], site(RICH)),
    "array-two-nodes.sh": lambda: array_script(
        TaskArray("01-train", {0: "a"}, rich(GPU.model_copy(update={"nodes": 2, "gpus": 4}))), site(RICH)
    ),
    "array-checkout.sh": lambda: array_script(
        TaskArray("01-train", {0: "a"}, PLAIN.default), Site(Path("/s/runs/r"), PLAIN, "python", "/home/me/check out")
    ),
    "continuation.sh": lambda: continuation_script(site(RICH)),
    "probe.sh": lambda: probe_script(site(RICH), Path("/store"), rich()),
    "submit.sh": lambda: submit_script(ARRAYS, RICH, "sweep-1", ("HF_TOKEN",)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_scripts_are_those_of_the_golden_files(name: str, rewrite_golden: bool) -> None:
    text = TEXTS[name]()
    if rewrite_golden:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


@pytest.mark.parametrize(
    ("indices", "text"), [([], ""), ([4], "4"), ([0, 1, 2], "0-2"), ([5, 0, 1, 9, 7, 8], "0-1,5,7-9")]
)
def test_indices_are_written_as_ranges(indices: list[int], text: str) -> None:
    assert index_ranges(indices) == text


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("infinite", None), ("30:00", 30), ("1-00:00:00", 1440), ("2-12:30:00", 3630), ("5", 5 / 60), ("4:00:00", 240)],
)
def test_time_limits_are_read_as_slurm_writes_them(text: str, minutes: float | None) -> None:
    assert minutes_of(text) == (None if minutes is None else pytest.approx(minutes))


@pytest.mark.parametrize(
    ("gres", "count", "types"),
    [
        ("(null)", 0, ()),
        ("gpu:2", 2, ()),
        ("gpu:a100:4(S:0-1)", 4, ("a100",)),
        ("gpu:1g.10gb:7(S:0),gpu:a100:1(S:1)", 8, ("1g.10gb", "a100")),
        ("shard:8,gpu:v100:2", 2, ("v100",)),
    ],
)
def test_gpus_are_read_as_slurm_writes_them(gres: str, count: int, types: tuple[str, ...]) -> None:
    assert gpus_of(gres) == (count, types)
