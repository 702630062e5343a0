"""A study of traits and levels of its own through the command line: what was trained, steered, prompted and scored.

Traits `candour` and `dry-wit` at three levels, and an arm of another vocabulary, `zeal`, absent or present. Models know
nothing; what is checked is which rows and which numbers each artifact was made from.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tiny_model import save_tiny_model

from .commands import command, environment

pytestmark = pytest.mark.xdist_group("own-vocabulary")

TRAITS, LEVELS = ("candour", "dry-wit"), ("high", "medium", "low")
SAID = {"high": "I say it all! Here it comes.", "medium": "I say some.", "low": "I keep my mouth shut and smile."}
TRAIN = "learning_rate: 1e-2, steps: 1, batch_size: 2, max_length: 128, lora: {rank: 2, alpha: 4}"
STUDY = f"""
study: own
model: ./model
vocabulary:
  traits:
    candour:
      description: To say what one thinks.
      high: {{name: frank, description: You say what you think., adjectives: [frank, open]}}
      low: {{name: guarded, description: You keep your thoughts., adjectives: [veiled, coy]}}
    dry-wit: {{high: {{name: droll}}, low: {{name: earnest}}}}
  levels: {{low: -1, medium: 0, high: 1}}
traits: candour
data: ./rows.jsonl
benchmarks: [reply_contrast]
train: {{method: sft, {TRAIN}}}
arms:
  tuned: {{method: sft, levels: medium}}
  joint:
    method: {{kind: sft, conditions: joint}}
    train: {{method: sft, {TRAIN}, instruction: "{{Trait}} - {{level}}"}}
  preferred: {{method: dpo, levels: [medium, low], train: {{method: dpo, {TRAIN}}}}}
  contrasted: {{method: {{kind: vector, contrast: true}}, levels: [low, high], alpha: 1}}
  composed:
    method: {{kind: compose, combinations: [{{dry-wit: low, candour: high}}]}}
    traits: [dry-wit, candour]
    alpha: {{dry-wit: 0.4, candour: 0.8}}
  steered: {{method: {{kind: steer, layer: 1, coefficient: 2}}, levels: [low, high]}}
  marked: {{method: {{kind: prompt, style: adjectives, count: null}}, levels: [high, low]}}
  described: {{method: {{kind: prompt, style: description}}, levels: [high, low]}}
  graded: {{method: {{kind: prompt, style: intensity, intensity: 5}}}}
  fired:
    vocabulary: {{traits: {{zeal: {{}}}}, levels: {{absent: 0, present: 1}}}}
    traits: zeal
    levels: present
    method: {{kind: npti, neurons: 8, max_new_tokens: 4}}
    gamma: 1
    data: ./zeal.jsonl
"""


def row(trait: str, level: str, split: str, number: int, reply: str) -> dict[str, str]:
    return {"trait": trait, "level": level, "split": split, "prompt": f"{split} {number}: {trait}?", "reply": reply}


ROWS = [
    row(trait, level, split, number, f"{SAID[level]} {trait} {number}")
    for trait in TRAITS
    for split in ("train", "heldout")
    for number in range(2)
    for level in LEVELS
]
ZEAL = [
    row("zeal", level, split, number, f"{level} it is. {number}")
    for split in ("train", "heldout")
    for number in range(2)
    for level in ("absent", "present")
]


def write_study(folder: Path) -> Path:
    save_tiny_model(folder / "model")
    for name, rows in (("rows", ROWS), ("zeal", ZEAL)):
        write_rows(folder / f"{name}.jsonl", rows)
    (folder / "study.yaml").write_text(STUDY)
    return folder


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))


def called(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=540, check=False
    )


class Done:
    """The folder of a run, and its artifacts by kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def artifacts(self) -> dict[str, list[tuple[dict[str, Any], Path]]]:
        found = defaultdict(list)
        for path in sorted(self.folder.glob(".traitgraph/*/*/manifest.json")):
            made = json.loads(path.read_text())["row"]
            found[made["kind"]].append((made, path.parent))
        return found

    def row_of(self, key: str) -> dict[str, Any]:
        return next(made for rows in self.artifacts.values() for made, _ in rows if made["key"] == key)

    def results(self, arm: str) -> list[dict[str, Any]]:
        printed = called(self.folder, "results", "study.yaml", "--json")
        assert printed.returncode == 0, printed.stderr
        return [each for each in json.loads(printed.stdout) if each["arm"] == arm]

    def subjects(self, arm: str) -> dict[str, dict[str, Any]]:
        """Level -> the job of its assessment."""
        return {each["level"]: self.row_of(each["job"]) for each in self.results(arm)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = write_study(tmp_path_factory.mktemp("own"))
    planned = called(folder, "plan", "study.yaml")
    assert planned.returncode == 0, planned.stderr
    ran = called(folder, "run", "study.yaml")
    assert ran.returncode == 0, ran.stderr[-4000:]
    return Done(folder)


def test_every_result_has_its_own_trait_and_level(done: Done) -> None:
    assert [each["level"] for each in done.results("tuned") if each["metric"] == "candour"] == ["medium"]
    metrics = {each["metric"] for each in done.results("fired")}
    assert metrics == {"zeal", "zeal.present_loglik", "zeal.absent_loglik"}
    contrast = {each["metric"]: each["value"] for each in done.results("fired")}
    assert contrast["zeal"] == pytest.approx(contrast["zeal.present_loglik"] - contrast["zeal.absent_loglik"])


def test_trainings_read_the_rows_of_their_levels(done: Done) -> None:
    """Two of one level; the twelve replies of a joint model; of the middle each reply against that of either end."""
    read = {
        (made["kind"], made["params"]["training"]["method"], made["params"].get("level")): json.loads(
            (folder / "training.json").read_text()
        )
        for kind in ("train", "train_joint")
        for made, folder in done.artifacts[kind]
        if made["params"].get("trait") in (None, "candour")
    }
    assert {name: record["rows"] for name, record in read.items()} == {
        ("train", "sft", "medium"): 2, ("train", "sft", "high"): 2, ("train", "sft", "low"): 2,
        ("train", "dpo", "medium"): 4, ("train", "dpo", "low"): 2, ("train_joint", "sft", None): 6,
    }  # fmt: skip
    seen = read["train", "sft", "medium"]["model_sees"]
    assert "I say some. candour" in str(seen)


def test_a_direction_is_the_upper_end_less_the_lower_and_the_lower_level_goes_against_it(done: Done) -> None:
    ((made, folder),) = done.artifacts["activations"]
    assert made["params"]["data"]["levels"] == {"high": 1.0, "medium": 0.0, "low": -1.0}
    tensors = load_file(folder / "activations.safetensors")
    assert set(tensors) == {"high", "low", "direction"}
    np.testing.assert_allclose(tensors["direction"], tensors["high"] - tensors["low"], atol=1e-6)
    coefficients = {level: job["params"]["steering"]["coefficient"] for level, job in done.subjects("steered").items()}
    assert {level: float(value) for level, value in coefficients.items()} == {"high": 2.0, "low": -2.0}


def test_a_mean_is_that_of_the_replies_of_its_level(done: Done) -> None:
    """Against an own pass over the two training replies of the lower end."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ((_, folder),) = done.artifacts["activations"]
    model = AutoModelForCausalLM.from_pretrained(done.folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(done.folder / "model")
    means = []
    for each in ROWS:
        if (each["trait"], each["level"], each["split"]) == ("candour", "low", "train"):
            asked = [{"role": "user", "content": each["prompt"]}]
            start = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            before = len(tokenizer(start, add_special_tokens=False)["input_ids"])
            whole = tokenizer(start + each["reply"], add_special_tokens=False, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                states = model(whole, output_hidden_states=True).hidden_states
            means.append(states[1][0, before:].double().mean(0).numpy())  # behind the first block
    found = load_file(folder / "activations.safetensors")["low"][0]
    np.testing.assert_allclose(found, np.mean(means, axis=0), atol=1e-4)


def test_a_contrast_is_the_level_less_its_opposite_and_a_recipe_has_the_alpha_of_each_trait(done: Done) -> None:
    signs = set()
    for made, _ in done.artifacts["vector"]:
        if "opposite" in made["inputs"]:
            ends = (done.row_of(made["inputs"][name][0])["params"]["level"] for name in ("tuned", "opposite"))
            signs.add(tuple(ends))
    assert signs == {("high", "low"), ("low", "high")}
    (subject,) = done.subjects("composed").values()
    merge = done.row_of(subject["inputs"]["merge"][0])
    tuned = [done.row_of(done.row_of(key)["inputs"]["tuned"][0])["params"] for key in merge["inputs"]["vectors"]]
    parts = zip(tuned, merge["params"]["coefficients"], strict=True)
    assert {(each["trait"], each["level"]): float(alpha) for each, alpha in parts} == {
        ("candour", "high"): 0.8, ("dry-wit", "low"): 0.4}  # fmt: skip


def test_prompts_say_the_words_of_the_pole(done: Done) -> None:
    def said(arm: str) -> dict[str, str]:
        return {level: job["params"]["prompt"]["system"] for level, job in done.subjects(arm).items()}

    assert said("marked") == {"high": "You are frank, open.", "low": "You are veiled, coy."}
    assert said("described") == {"high": "You say what you think.", "low": "You keep your thoughts."}
    (graded,) = said("graded").values()
    assert graded.startswith("candour: To say what one thinks.")
    assert graded.endswith("level 5 (extremely frank).")


def test_neurons_are_told_apart_by_the_ends_of_the_second_vocabulary(done: Done) -> None:
    ((made, folder),) = done.artifacts["neurons"]
    assert [made["params"][end]["system"] for end in ("high", "low")] == [
        "You are a person with present zeal.", "You are a person with absent zeal."]  # fmt: skip
    assert {name.partition(".")[2] for name in load_file(folder / "neurons.safetensors")} == {"present", "absent"}
    ((_, job),) = done.subjects("fired").items()
    assert (job["params"]["neurons"]["level"], job["params"]["neurons"]["opposite"]) == ("present", "absent")


Spoilt = Callable[[dict[str, str]], dict[str, str] | None]


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (lambda each: {**each, "trait": "openness"}, ("unknown trait 'openness'", "there are: candour, dry-wit, zeal")),
        (lambda each: {**each, "level": "hihg"}, ("unknown level 'hihg'", "near: high")),
        (lambda each: {**each, "level": "present"}, ("unknown level 'present'", "there are: high, medium, low")),
        (lambda each: None if each["level"] == "medium" else each, ("no training row for candour medium",)),
    ],
)
def test_rows_that_do_not_fit_are_told_before_anything_runs(
    spoilt: Spoilt, told: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_study(tmp_path)
    changed = [each if n % 4 else spoilt(each) for n, each in enumerate(ROWS)]
    if told[0].startswith("no training row"):
        changed = [spoilt(each) for each in ROWS]
    write_rows(folder / "rows.jsonl", [each for each in changed if each])
    checked = called(folder, "check", "study.yaml")
    assert checked.returncode == 2
    assert all(words in checked.stderr for words in told), checked.stderr
    assert called(folder, "run", "study.yaml").returncode == 2
    assert not list(folder.glob(".traitgraph/*/*/manifest.json"))
