"""Labels tell jobs apart: people name a job by its label in `logs` and `explain`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.hashing import digest_path

from .specs import plan_of

COMPOSED = """\
study: composed
model: owner/model
traits: [openness, extraversion]
levels: [high, low]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
method: compose
alpha: 0.2
benchmarks: [mini-ipip]
"""


def _labels(*overrides: str, kind: str) -> list[str]:
    return [row.label for row in plan_of(COMPOSED, *overrides).job_table().rows if row.kind == kind]


@pytest.mark.parametrize("kind", ["train", "vector"])
def test_a_training_for_composed_subjects_is_called_by_its_own_trait_and_level(kind: str) -> None:
    assert _labels(kind=kind) == [
        f"{kind} {trait} {level}" for trait in ("openness", "extraversion") for level in ("high", "low")
    ]


def test_the_training_of_the_other_level_of_a_contrast_is_called_by_its_own() -> None:
    contrast = ("method={kind: vector, contrast: true}", "traits=[openness]", "levels=[high]")
    assert _labels(*contrast, kind="train") == ["train openness high", "train openness low"]


def test_data_sets_and_seeds_are_told_where_there_are_several() -> None:
    several = ("data=[owner/dialogues,owner/talks]", "+seeds=[0,1]")
    found = _labels(*several, kind="train")
    assert found[-1] == "train extraversion low seed 1 data talks"
    assert len(set(found)) == len(found) == 16


@pytest.mark.parametrize("method", ["compose", "vector", "sft", "{kind: steer, layer: [3, 4], coefficient: 2}"])
def test_no_two_jobs_of_a_study_have_one_label(method: str) -> None:
    overrides = [f"method={method}", "data=[owner/dialogues,owner/talks]", "model=[owner/model,owner/other]"]
    overrides += [] if "steer" in method else ["+seeds=[0,1]"]
    overrides += ["~train", "~alpha"] if "steer" in method else ["~alpha"] if method == "sft" else []
    labels = plan_of(COMPOSED, *overrides).labels()
    assert len(set(labels)) == len(labels)


def test_a_local_model_is_called_by_its_name(tmp_path: Path) -> None:
    for folder in ("base", "tuned.v2"):
        save_tiny_model(tmp_path / folder, seed=len(folder))
    spec = tmp_path / "study.yaml"
    arms = "arms: {one: {model: ./base}, two: {model: ./tuned.v2}}\n"
    spec.write_text(COMPOSED.replace("model: owner/model\n", "") + arms)
    plan = compile_study(load_study(spec, []), Context(digest_of=lambda path: digest_path(Path(path))))
    found = [row.label for row in plan.job_table().rows if row.kind == "train"]
    assert found[:1] + found[4:5] == ["train openness high on base", "train openness high on tuned.v2"]


def test_jobs_that_coordinates_do_not_tell_apart_have_the_start_of_their_key_in_the_label() -> None:
    """The arms of a sweep differ in what no coordinate shows; a label that two jobs have would name neither."""
    arms = "\n".join(f"  {name}: {{train: {{learning_rate: {rate}}}}}" for name, rate in (("a", "1e-4"), ("b", "1e-5")))
    plan = plan_of(f"{COMPOSED}arms:\n{arms}\n")
    rows = [plan.job_row(row) for row in range(plan.draft.rows)]
    assert len({row.label for row in rows}) == len(rows)
    (one, two) = [row for row in rows if row.label.startswith("train openness high")]
    assert [one.label, two.label] == [f"train openness high #{row.key[:8]}" for row in (one, two)]
