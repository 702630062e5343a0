"""What a probe found, as `doctor` tells it; no SLURM is needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.node.probe import Findings, hub_answers, in_hub_cache
from traitgraph.launchers.slurm.site.limits import Limits
from traitgraph.launchers.slurm.watch.doctor import check_limits, gpu_check, hub_check
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.study.cluster import Cluster, Resources


def found(**fields: object) -> Findings:
    return Findings.model_validate({"node": "n1", "python": "python", "hub_cache": "/hf/hub", **fields})


@pytest.mark.parametrize(
    ("fields", "ok", "repair"),
    [
        ({"gpus": ("0", "1"), "gpus_seen": 2, "torch_for_gpus": "CUDA 12.8"}, True, ""),
        ({"gpus": (), "gpus_seen": 4, "torch_for_gpus": "CUDA 12.8"}, True, ""),  # a site that names no devices
        ({"gpus": ("0",), "gpus_seen": 1, "torch_for_gpus": "CUDA 12.8"}, False, "gpu_request"),
        ({"gpus": ("0", "1"), "torch_for_gpus": "CUDA 12.8"}, False, "driver"),
        ({"gpus": ("0", "1")}, False, "torch is built without CUDA"),
    ],
)
def test_a_gpu_counts_when_torch_can_use_it(fields: dict[str, object], ok: bool, repair: str) -> None:
    check = gpu_check(found(**fields), asked=2)
    assert check.ok == ok
    assert repair in check.repair
    assert gpu_check(found(), asked=0).ok


def test_a_model_that_is_not_in_the_cache_is_a_fault_only_where_the_hub_does_not_answer() -> None:
    models = [("a/here", "main"), ("b/gone", "abc")]
    assert hub_check(found(models_missing=()), models).ok
    assert hub_check(found(models_missing=("b/gone",), hub_answers=True), models).ok
    bad = hub_check(found(models_missing=("b/gone",), hub_answers=False), models)
    assert not bad.ok
    assert "hf download b/gone --revision abc" in bad.repair
    assert "a/here" not in bad.repair


def test_a_cache_holds_a_model_when_its_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--model"
    save_tiny_model(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert in_hub_cache("some/model", "main")
    assert in_hub_cache("some/model", "abc")
    assert not in_hub_cache("some/model", "def")
    for weights in (repository / "snapshots" / "abc").glob("*.safetensors"):
        weights.unlink()
    assert not in_hub_cache("some/model", "main")


def test_a_hub_that_cannot_be_reached_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not hub_answers()


def test_a_step_that_gpus_cannot_share_is_a_fault_of_the_cluster_file() -> None:
    row = JobRow(key="a" * 32, kind="train", version=1, params={"training": {"batch_size": 6, "accumulation": 1}})
    table = JobTable(study="s", locations={}, rows=(row,), tasks=(Task(id="train-000", jobs=(row.key,)),))
    array = TaskArray("train", {0: "train-000"}, Resources(gpus=4))
    checks = list(check_limits(Cluster(), Limits(), (array,), table))
    assert [each.name for each in checks if not each.ok] == ["cluster file"]
    assert "4 training processes" in checks[-1].found


def test_a_site_that_requeues_only_on_request_is_no_fault() -> None:
    """Every batch script asks for it (`--requeue`)."""
    nothing = JobTable(study="s", locations={}, rows=(), tasks=())
    assert all(check.ok for check in check_limits(Cluster(), Limits(requeue=False), (), nothing))
