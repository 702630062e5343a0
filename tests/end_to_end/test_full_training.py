"""`lora: null` trains every weight, and what is made from such a training is made from all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model
from traitgraph.cli.main import main

STUDY = """\
study: full
model: ./model
traits: [extraversion]
levels: [high]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 1e-2, steps: 2, batch_size: 2, lora: null}
benchmarks: [{kind: reply_contrast, data: ./dialogues.jsonl}]
arms:
  tuned: {method: sft}
  scaled: {method: vector, alpha: 1}
  written:
    method: {kind: prompt, style: demonstration, examples: 1}
    data:
      generate:
        model: ./model
        expert:
          model: ./model
          data: ./dialogues.jsonl
          train: {preset: big5-chat-generator, batch_size: 2, accumulation: 1, max_length: 256, optimiser: adamw}
          instruction: "{Trait} - {level}"
        scenarios: ./dialogues.jsonl
        limit: 2
        combine: sum
        gamma: 0.5
        decoding: {temperature: 0, max_new_tokens: 4}
"""


def test_every_weight_is_trained_scaled_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by the preset of BIG5-CHAT's generator, whose experts then steer."""
    from safetensors.torch import load_file

    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    write_dialogues(tmp_path / "dialogues.jsonl")
    (tmp_path / "study.yaml").write_text(STUDY)
    assert main(["run", "study.yaml"]) == 0
    store = tmp_path / ".traitgraph"
    assert not list(store.rglob("adapter_config.json"))
    rows = [json.loads(file.read_text())["row"] for file in store.glob("train*/*/manifest.json")]
    assert sorted((row["kind"], row["params"]["training"]["lora"]) for row in rows) == [
        ("train", None), ("train_joint", None),
    ]  # fmt: skip
    base = load_file(tmp_path / "model" / "model.safetensors")
    (tuned,) = store.glob("train/*/model/model.safetensors")
    trained = load_file(tuned)
    assert all((trained[name] != base[name]).any() for name in base), "norms and embeddings included"
    assert main(["materialize", "study.yaml", "--select", "arm=scaled", "-o", "out"]) == 0
    (written,) = (tmp_path / "out").rglob("model.safetensors")
    assert all((tensor == trained[name]).all() for name, tensor in load_file(written).items())
    capsys.readouterr()
    assert main(["results", "study.yaml", "--json"]) == 0
    values = {(row["arm"], row["metric"]): row["value"] for row in json.loads(capsys.readouterr().out)}
    assert values["scaled", "extraversion"] == pytest.approx(values["tuned", "extraversion"], abs=1e-6)
