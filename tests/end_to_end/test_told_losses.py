"""What a study loses in rounding, or could not use, is told: before the training, by the run, in results and report."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model, tiny_tokenizer
from traitgraph.cli.main import main
from traitgraph.specs.folders.model_folder import LOADED_AS_STORED, fuses_experts

SPEC = """
study: told
model: {path: ./model, dtype: bfloat16}
traits: [extraversion]
levels: [high]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 1.0e-6, steps: 1, batch_size: 2, lora: null}
benchmarks: [reply_contrast]
arms:
  base: {method: direct}
  tuned: {method: sft}
  vectors: {method: vector, alpha: [0, 0.5]}
"""


def dialogues(folder: Path) -> None:
    rows = [
        {"trait": "extraversion", "level": level, "prompt": f"How was day {day}?", "reply": reply, "split": split}
        for level, reply in (("high", "I went out and met people."), ("low", "I stayed at home with a book."))
        for day, split in ((1, "train"), (2, "train"), (3, "heldout"))
    ]
    (folder / "dialogues.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def test_a_change_that_rounding_takes_is_told_by_run_report_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    dialogues(tmp_path)
    (tmp_path / "told.yaml").write_text(SPEC)
    assert main(["run", "told.yaml"]) == 0
    assert "vectors: in 1 of 1 assessments of merged models less than 90%" in capfd.readouterr().err
    (recipe,) = Path(".traitgraph/merge").glob("*/recipe.json")
    share = json.loads(recipe.read_text())["statistics"]["effective_alpha"]
    assert share < 0.9
    assert main(["results", "told.yaml", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    told = {(row["arm"], row["alpha"]): row["effective_alpha"] for row in rows}
    assert float(told["vectors", "0.5"]) == pytest.approx(0.5 * share)
    assert {told[key] for key in told if key != ("vectors", "0.5")} == {""}
    # a recipe that was changed is believed no more
    recipe.write_text(recipe.read_text().replace('"effective_alpha"', '"effective_alphb"'))
    assert main(["results", "told.yaml", "--csv"]) == 0
    assert {row["effective_alpha"] for row in csv.DictReader(io.StringIO(capfd.readouterr().out))} == {""}
    (page,) = Path(".traitgraph/reports").glob("*/report.html")
    assert "survives rounding, in the worst" in page.read_text()


def test_vectors_of_a_mixture_of_experts_are_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, MixtralConfig

    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    config = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=2, max_position_embeddings=256,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    dialogues(tmp_path)
    for given, code in (("null", 2), ("{rank: 2}", 2), ("{targets: mlp}", 2), ("{targets: attention}", 0)):
        (tmp_path / "told.yaml").write_text(SPEC.replace("lora: null", f"lora: {given}"))
        assert main(["check", "told.yaml"]) == code
        assert ("TG219" in capfd.readouterr().err) == (code == 2)
    (tmp_path / "told.yaml").write_text(SPEC.partition("  vectors")[0])
    assert main(["check", "told.yaml"]) == 0


FUSED = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v3", "phimoe")


@pytest.mark.parametrize("kind", [*FUSED, *LOADED_AS_STORED])
def test_what_is_known_of_mixtures_of_experts_is_what_transformers_does(kind: str) -> None:
    from transformers import AutoConfig
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    from transformers.core_model_loading import WeightConverter

    told = get_checkpoint_conversion_mapping(kind) or []
    fused = any(isinstance(each, WeightConverter) and "experts" in str(each.target_patterns) for each in told)
    assert fuses_experts(AutoConfig.for_model(kind).to_dict()) == fused
