"""Rows held back in training: drawn by the seed, never seen, and the best state is what is saved."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.training.rows import hold_back
from traitgraph.runtime.training.training import train
from traitgraph.specs.jobs.params import TrainJointParams, TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import DpoTraining, Lora, SftTraining, Validation

LORA = Lora(rank=4, alpha=8)
VALIDATION = Validation(share=0.25, every=2)
HOT: dict[str, Any] = {"learning_rate": 0.1, "schedule": "constant", "steps": 12, "batch_size": 2, "lora": LORA}
SFT = SftTraining(**HOT, validation=VALIDATION)
DPO = DpoTraining(**HOT, validation=VALIDATION)


@pytest.fixture
def data(tmp_path: Path, locations: dict[str, str]) -> FileData:
    """Eight prompts with a high and a low reply each that have nothing in common: what is learned helps no other."""
    rows = [
        {
            "prompt": f"Question {number}?",
            "reply": blake2b(f"{level} {number}".encode(), digest_size=12).hexdigest(),
            "trait": "openness",
            "level": level,
        }
        for number in range(8)
        for level in ("high", "low")
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations[digest_path(path)] = str(path)
    return FileData(digest=digest_path(path))


def params(model: FolderModel, data: FileData, training: SftTraining | DpoTraining = SFT) -> TrainParams:
    return TrainParams(model=model, data=data, training=training, trait="openness", level="high", seed=1)


def rows_of(*prompts: str) -> list[dict[str, Any]]:
    return [{"asked": prompt, "number": n} for n, prompt in enumerate(prompts)]


def test_rows_of_one_prompt_are_never_on_both_sides() -> None:
    rows = rows_of(*(f"{number // 2}" for number in range(40)))
    for seed in range(20):
        kept, held = hold_back(rows, 0.1, seed)
        assert sorted(row["number"] for row in (*kept, *held)) == list(range(40))
        assert len(held) == 4
        assert not {row["number"] // 2 for row in kept} & {row["number"] // 2 for row in held}
    assert hold_back(rows, 0.1, 1) == hold_back(rows, 0.1, 1)
    assert len({str(hold_back(rows, 0.1, seed)[1]) for seed in range(20)}) > 10


@pytest.mark.parametrize("kind", [SftTraining, DpoTraining], ids=["sft", "dpo"])
@pytest.mark.parametrize("place", [None, "user"])
def test_both_levels_of_a_prompt_stay_together_wherever_their_instruction_stands(
    make_context: MakeContext, model_ref: FolderModel, data: FileData, place: Literal["user"] | None,
    kind: type[SftTraining | DpoTraining], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The preferences of one level are those of the other turned round: to see one is to know the other."""
    from traitgraph.runtime.training import training

    def see(context: object, params: object, loaded: object, *sides: list[Any]) -> None:
        seen.extend({row["prompt"][-1]["content"].split("\n\n")[-1] for row in side} for side in sides)
        raise InterruptedError

    seen: list[set[str]] = []
    monkeypatch.setattr(training, "_trainer", see)
    how = kind(**HOT, validation=VALIDATION, instruction="You have {level} {trait}.", instruction_place=place)
    joint = TrainJointParams(model=model_ref, data=data, training=how, trait="openness", seed=1)
    with pytest.raises(InterruptedError):
        train(make_context(joint), joint)
    trained, measured = seen
    assert (len(trained), len(measured)) == (6, 2)
    assert not trained & measured


def test_a_single_prompt_cannot_be_divided() -> None:
    with pytest.raises(DialogueError, match="3 rows with 1 different prompts are too few to hold some back"):
        hold_back(rows_of("a", "a", "a"), 0.5, 0)


def test_rows_that_are_held_back_and_all_too_long_are_told(
    make_context: MakeContext, model_ref: FolderModel, locations: dict[str, str], tmp_path: Path
) -> None:
    prompts = ["Short?", "Long? " * 100]
    seed = next(seed for seed in range(99) if hold_back(rows_of(*prompts), 0.5, seed)[1] == rows_of(*prompts)[1:])
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": prompt, "reply": "Yes", "trait": "openness", "level": "high"} for prompt in prompts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations[digest_path(path)] = str(path)
    training = SFT.model_copy(update={"max_length": 64, "validation": Validation(share=0.5, every=2)})
    given = params(model_ref, FileData(digest=digest_path(path)), training).model_copy(update={"seed": seed})
    with pytest.raises(DialogueError, match="all 1 rows held back are longer than `max_length`, 64 tokens"):
        train(make_context(given), given)


@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_the_state_with_the_lowest_loss_is_the_one_that_is_saved(
    make_context: MakeContext, model_ref: FolderModel, data: FileData, training: SftTraining | DpoTraining
) -> None:
    """A training that is made to stop where the loss was lowest saves the same weights."""
    context = make_context(params(model_ref, data, training))
    train(context, params(model_ref, data, training))
    record = json.loads((context.out / "training.json").read_text())
    found = record["validation"]
    assert (record["rows"], found["rows"]) == (6, 2)
    assert [entry["step"] for entry in found["losses"]] == [2, 4, 6, 8, 10, 12]
    best = min(found["losses"], key=lambda entry: entry["loss"])
    assert (found["kept_step"], found["kept_loss"]) == (best["step"], best["loss"])
    assert best["step"] < 12, "this training is hot enough to get worse"
    shorter = make_context(params(model_ref, data, training.model_copy(update={"steps": best["step"]})))
    train(shorter, params(model_ref, data, training.model_copy(update={"steps": best["step"]})))
    assert saved(shorter) == saved(context)


def saved(context: JobContext) -> bytes:
    return (context.out / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_stopped_training_keeps_the_same_state(
    make_context: MakeContext, model_ref: FolderModel, data: FileData, tmp_path: Path
) -> None:
    """Stopped after the best state was found, and gone on in what could be another process."""
    given = params(model_ref, data)
    undisturbed = make_context(given)
    train(undisturbed, given)
    (tmp_path / "partial").mkdir()
    stopped = make_context(given)
    stopped.partial = tmp_path / "partial"
    steps = [0]
    stopped.progress = lambda done, total, what="": steps.append(done)
    stopped.stop_wanted = lambda: steps[-1] >= 10
    with pytest.raises(Stopped):
        train(stopped, given)
    again = make_context(given)
    again.partial = tmp_path / "partial"
    train(again, given)
    assert saved(again) == saved(undisturbed)
    one, other = (json.loads((context.out / "training.json").read_text()) for context in (undisturbed, again))
    assert one["validation"] == other["validation"]
    assert one["validation"]["kept_step"] < 10, "found before the stop"
