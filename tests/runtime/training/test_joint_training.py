"""One model for both levels of a trait, or for all traits: the instruction tells them apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.dialogues import dialogue_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.training.training import train
from traitgraph.specs.jobs.params import TrainJointParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import DpoTraining, Lora, SftTraining
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait

LEVELS = tuple(BIG_FIVE.levels)

INSTRUCTION = "You have {level} {trait}."
SFT = SftTraining(learning_rate=1e-2, steps=40, batch_size=4, lora=Lora(rank=8, alpha=16), instruction=INSTRUCTION)
DPO = DpoTraining(learning_rate=1e-2, steps=20, batch_size=4, lora=Lora(rank=8, alpha=16), instruction=INSTRUCTION)


def joint(
    model: FolderModel, data: FileData, trait: Trait | None, training: SftTraining | DpoTraining = SFT
) -> TrainJointParams:
    return TrainJointParams(model=model, data=data, training=training, trait=trait, seed=7)


@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_one_adapter_answers_as_its_instruction_says(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData,
    training: SftTraining | DpoTraining,
) -> None:  # fmt: skip
    """Under the instruction of a level, that level's replies gain on the other level's, for both levels."""
    from peft import PeftModel

    from traitgraph.runtime.data.dialogues import read_dialogues, reply_pairs
    from traitgraph.runtime.models.chat import PromptMessage, turn
    from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods

    params = joint(model_ref, dialogue_data, "extraversion", training)
    context = make_context(params)
    train(context, params)
    pairs = reply_pairs(read_dialogues(Path(context.locations[dialogue_data.digest])), "extraversion", "train")

    def gap(level: Level) -> float:
        """Mean of high less low. [nats per token]"""
        prompt_message = PromptMessage(f"You have {level} extraversion.")
        turns = [turn(loaded.tokenizer, p.prompt, p.replies[side], prompt_message) for p in pairs for side in LEVELS]
        found = continuation_likelihoods(loaded, [Request(*each) for each in turns])
        signs = [1 if side == "high" else -1 for _ in pairs for side in LEVELS]
        return sum(sign * each.per_token for sign, each in zip(signs, found, strict=True)) / len(pairs)

    before = {level: gap(level) for level in LEVELS}
    tuned = PeftModel.from_pretrained(loaded.model, str(context.out / "adapter"))
    try:
        assert gap("high") > before["high"] + 0.3
        assert gap("low") < before["low"] - 0.3
    finally:
        tuned.unload()
    record = json.loads((context.out / "training.json").read_text())
    assert (record["trait"], record["level"], record["rows"]) == ("extraversion", None, 4)


def test_without_a_trait_all_traits_are_trained(
    make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    params = joint(model_ref, dialogue_data, None, SFT.model_copy(update={"steps": 1}))
    context = make_context(params)
    train(context, params)
    assert json.loads((context.out / "training.json").read_text())["rows"] == 8


@pytest.mark.parametrize(("trait", "missing"), [("extraversion", "extraversion low"), (None, "extraversion low")])
def test_a_level_without_rows_is_named(
    make_context: MakeContext, model_ref: FolderModel, tmp_path: Path, locations: dict[str, str],
    trait: Trait | None, missing: str,
) -> None:  # fmt: skip
    path = tmp_path / "high-only.jsonl"
    rows = [row for row in dialogue_rows() if (row["trait"], row["level"]) != ("extraversion", "low")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations[digest_path(path)] = str(path)
    params = joint(model_ref, FileData(digest=digest_path(path)), trait)
    with pytest.raises(DialogueError, match=f"no training row for {missing}"):
        train(make_context(params), params)
