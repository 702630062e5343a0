"""A study is mirrored to Weights & Biases by the real client, offline, and read back from the files it wrote."""

from __future__ import annotations

import csv
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .commands import command, environment

pytestmark = pytest.mark.xdist_group("tiny-study")

TRACKED = "+tracking={wandb: {project: personality, tags: [first]}}"


class Run(NamedTuple):
    """What an offline run holds."""

    about: Any
    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]]
    artifacts: list[Any]


def records(path: Path) -> Iterator[Any]:
    """The client's log: LevelDB's format of blocks of 32 KiB, each piece with checksum, length and type."""
    from wandb.proto import wandb_internal_pb2

    data, at, piece = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        piece += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield wandb_internal_pb2.Record.FromString(piece)
            piece = b""


def read_run(folder: Path) -> Run:
    (log,) = folder.glob("*.wandb")
    found = list(records(log))

    def items(parts: Any) -> dict[str, Any]:
        return {part.key or "/".join(part.nested_key): json.loads(part.value_json) for part in parts}

    about = next(each.run for each in found if each.WhichOneof("record_type") == "run")
    config = items(about.config.update)
    summary: dict[str, Any] = {}
    for each in found:
        config |= items(each.config.update)
        summary |= items(each.summary.update)
    return Run(
        about,
        config,
        summary,
        [items(each.history.item) for each in found if each.WhichOneof("record_type") == "history"],
        [each for each in found if "artifact" in str(each.request.WhichOneof("request_type"))
         or each.WhichOneof("record_type") == "artifact"],
    )  # fmt: skip


def report(folder: Path, store: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    quiet = {
        name: str(store.parent / "wandb-home") for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR")
    }
    return subprocess.run(
        command("report", "study.yaml", TRACKED, "--store", store), cwd=folder,
        env={**environment(), **quiet, **variables}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(study_folder: Path, undisturbed: Path) -> dict[str, Run]:
    """Name -> run, after one mirroring."""
    told = report(study_folder, undisturbed)
    assert told.returncode == 0, told.stderr
    assert "wandb sync " in told.stderr
    found = [read_run(folder) for folder in undisturbed.glob("reports/tiny/wandb/offline-run-*")]
    return {run.about.display_name: run for run in found}


def test_every_subject_is_a_run_with_its_coordinates_and_mean_scores(runs: dict[str, Run], undisturbed: Path) -> None:
    run = runs["vectors: extraversion high, alpha 0.5, seed 0"]
    assert (run.about.project, run.about.run_group, run.about.job_type) == ("personality", "tiny", "subject")
    assert list(run.about.tags) == ["first", "extraversion", "high"]
    assert {"alpha": 0.5, "trait": "extraversion", "level": "high", "method": "vector"}.items() <= run.config.items()
    with (undisturbed / "reports" / "tiny" / "results.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["benchmark"] == "mini-ipip"]
    own = [row for row in rows if (row["trait"], row["level"], row["alpha"]) == ("extraversion", "high", "0.5")]
    (expected,) = (float(row["value"]) for row in own if row["metric"] == "neuroticism.expected")
    assert run.summary["mini-ipip/neuroticism"] == pytest.approx(expected), "as the report has it"
    assert "mini-ipip/neuroticism.stderr" in run.summary
    assert "mini-ipip/validity/option_mass" in run.summary


def test_every_training_is_a_run_with_the_loss_of_each_step(runs: dict[str, Run], undisturbed: Path) -> None:
    run = runs["train extraversion high"]
    record = json.loads((undisturbed / "train" / run.about.run_id / "training.json").read_text())
    assert [entry["loss"] for entry in run.history] == record["losses"]
    assert run.config["training"]["lora"]["rank"] == 4
    assert run.summary["final_loss"] == record["losses"][-1]


def test_the_study_is_a_run_with_its_spec_its_table_its_figures_and_its_report(
    runs: dict[str, Run], undisturbed: Path
) -> None:
    run = runs["tiny"]
    assert run.about.job_type == "study"
    assert [arm["name"] for arm in run.config["arms"]] == ["base", "prompt", "tuned", "vectors"]
    assert run.summary["assessments_missing"] == 0
    (logged,) = run.history
    with (undisturbed / "reports" / "tiny" / "results.csv").open(newline="") as stream:
        assert logged["results/nrows"] == len(list(csv.DictReader(stream)))
    assert logged["figures/reply_contrast/_type"] == "html-file"
    assert run.artifacts


def test_no_name_holds_a_greek_letter(runs: dict[str, Run]) -> None:
    keys = [key for run in runs.values() for key in (*run.config, *run.summary, run.about.display_name)]
    assert all(key.isascii() for key in keys)


def test_nothing_is_sent_twice(runs: dict[str, Run], study_folder: Path, undisturbed: Path) -> None:
    assert "everything was sent before" in report(study_folder, undisturbed).stderr
    assert len(list(undisturbed.glob("reports/tiny/wandb/offline-run-*"))) == len(runs)


def test_a_tracker_that_fails_fails_no_study(study_folder: Path, undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    copy = tmp_path / "store"
    copy.symlink_to(undisturbed)
    (undisturbed / "reports" / "tiny" / "wandb.json").unlink()
    told = report(study_folder, undisturbed, WANDB_DIR=str(tmp_path / "file"))
    assert told.returncode == 0
    assert "W&B: not mirrored: " in told.stderr
    assert "Traceback" not in told.stderr
