"""The smaller commands, on a finished tiny study."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .conftest import CommandLine

pytestmark = pytest.mark.xdist_group("tiny-study")


def test_select_reduces_results_and_plan(traitgraph: CommandLine, undisturbed: Path) -> None:
    words = ("study.yaml", "--store", undisturbed, "--select", "arm=vectors,alpha>0.5")
    rows = list(csv.DictReader(io.StringIO(traitgraph("results", *words).stdout)))
    assert {row["alpha"] for row in rows} == {"1"}
    plan = json.loads(traitgraph("plan", *words, "--json").stdout)
    assert [arm["name"] for arm in plan["arms"]]


def test_a_wrong_selector_exits_2_with_the_names_that_there_are(traitgraph: CommandLine, undisturbed: Path) -> None:
    refused = traitgraph("results", "study.yaml", "--store", undisturbed, "--select", "trate=openness")
    assert refused.returncode == 2
    assert "trait" in refused.stderr


@pytest.mark.parametrize("form", ["mermaid", "dot", "json"])
def test_graph_prints_every_form(traitgraph: CommandLine, undisturbed: Path, form: str) -> None:
    printed = traitgraph("graph", "study.yaml", "--store", undisturbed, "--format", form)
    assert printed.returncode == 0
    assert "train" in printed.stdout


def test_logs_finds_the_log_of_a_job_by_its_label(traitgraph: CommandLine, undisturbed: Path) -> None:
    printed = traitgraph("logs", "study.yaml", "train extraversion high", "--store", undisturbed)
    assert printed.returncode == 0
    assert "train extraversion high" in printed.stdout


def test_verify_reads_a_healthy_store(traitgraph: CommandLine, undisturbed: Path) -> None:
    verified = traitgraph("verify", "--store", undisturbed)
    assert verified.returncode == 0
    assert "0 damaged" in verified.stderr


def test_a_saved_plan_runs_exactly_or_refuses(traitgraph: CommandLine, study_folder: Path, tmp_path: Path) -> None:
    """A plan that is changed by hand, or whose files have changed, is refused with the reason."""
    plan = tmp_path / "plan.json"
    store = tmp_path / "store"
    saved = traitgraph("plan", "study.yaml", "--store", store, "-o", plan)
    assert saved.returncode == 0, saved.stderr
    changed = json.loads(plan.read_text(encoding="utf-8"))
    changed["table"]["study"] = "another"
    (tmp_path / "changed.json").write_text(json.dumps(changed), encoding="utf-8")
    refused = traitgraph("run", tmp_path / "changed.json", "--store", store)
    assert refused.returncode == 2
    assert "changed after it was saved" in refused.stderr
    assert not store.exists()


def test_max_gpu_hours_does_not_stop_a_cpu_study(traitgraph: CommandLine, undisturbed: Path) -> None:
    ran = traitgraph("run", "study.yaml", "--store", undisturbed, "--max-gpu-hours", "0.5")
    assert ran.returncode == 0


def test_max_gpu_hours_refuses_before_anything_starts(traitgraph: CommandLine, tmp_path: Path) -> None:
    spec = Path(__file__).parents[2] / "examples" / "alpha_sweep.yaml"
    refused = traitgraph("run", spec, "--store", tmp_path / "store", "--max-gpu-hours", "0.5")
    assert refused.returncode == 2
    assert "GPU-hours" in refused.stderr
    assert not (tmp_path / "store").exists()


def test_schema_is_json_and_explain_knows_every_code(traitgraph: CommandLine) -> None:
    assert json.loads(traitgraph("schema").stdout)["properties"]["study"]
    assert traitgraph("explain", "TG101").stdout.startswith("TG101")
    assert traitgraph("explain", "TG999").returncode == 2


@pytest.mark.parametrize("command", ["wait", "cancel", "retry"])
def test_slurm_commands_say_that_there_is_no_slurm_run(
    traitgraph: CommandLine, undisturbed: Path, command: str
) -> None:
    refused = traitgraph(command, "study.yaml", "--store", undisturbed)
    assert refused.returncode == 2
    assert "no SLURM run of study tiny" in refused.stderr


def test_slurm_needs_a_cluster(traitgraph: CommandLine, tmp_path: Path) -> None:
    refused = traitgraph("run", "study.yaml", "--store", tmp_path / "store", "--launcher", "slurm")
    assert refused.returncode == 2
    assert "cluster" in refused.stderr
    assert not (tmp_path / "store").exists()
