"""Training is repeatable to the bit, leaves the base as it was, and reads the training split only."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.contexts import MakeContext, located
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.training.checkpoints import train_with_checkpoints
from traitgraph.runtime.training.training import train
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import DpoTraining, Lora, SftTraining
from traitgraph.specs.study.vocabulary import Level

SFT = SftTraining(learning_rate=1e-2, steps=3, batch_size=2, lora=Lora(rank=4, alpha=8, dropout=0.1))
DPO = DpoTraining(learning_rate=1e-2, steps=3, batch_size=2, lora=Lora(rank=4, alpha=8))


@pytest.fixture
def params(model_ref: FolderModel, dialogue_data: FileData) -> TrainParams:
    return TrainParams(
        model=model_ref, data=dialogue_data, training=SFT, trait="extraversion", level="high", seed=7
    )  # fmt: skip


def adapter_bytes(make_context: MakeContext, params: TrainParams) -> bytes:
    context = make_context(params)
    train(context, params)
    return (context.out / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_equal_seeds_give_equal_bytes_whatever_ran_before(
    make_context: MakeContext, params: TrainParams, training: SftTraining | DpoTraining
) -> None:
    """Twice the same training, another one between them: the same file, bit for bit. Another seed: another file."""
    params = params.model_copy(update={"training": training})
    first = adapter_bytes(make_context, params)
    other = adapter_bytes(make_context, params.model_copy(update={"seed": 8}))
    assert adapter_bytes(make_context, params) == first
    assert other != first


def test_an_assumed_share_of_swapped_labels_changes_what_is_learned(
    make_context: MakeContext, params: TrainParams
) -> None:
    plain = params.model_copy(update={"training": DPO})
    robust = params.model_copy(update={"training": DPO.model_copy(update={"label_smoothing": 0.3})})
    assert adapter_bytes(make_context, plain) != adapter_bytes(make_context, robust)


def test_without_an_adapter_the_base_itself_is_the_reference(
    make_context: MakeContext, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded as the base is, not by its name, which tells no revision; the first loss is log 2: both are equal."""

    def by_name(*_: Any, **__: Any) -> None:
        raise AssertionError("trl loads a reference by the name of the model")

    monkeypatch.setattr("trl.trainer.dpo_trainer.create_model_from_path", by_name)
    context = make_context(params)
    train(context, params.model_copy(update={"training": DPO.model_copy(update={"lora": None})}))
    losses = json.loads((context.out / "training.json").read_text())["losses"]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert losses[-1] < losses[0]


def test_a_stop_while_the_adapter_is_taken_off_stays_a_stop(
    make_context: MakeContext, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tidying up a model that still carries it is no failure of the job."""

    def stopped(*_: Any, **__: Any) -> None:
        raise Stopped("SIGTERM")

    monkeypatch.setattr("peft.LoraModel.unload", stopped)
    with pytest.raises(Stopped):
        train(context := make_context(params), params)
    assert not (context.out / "training.json").exists()


@pytest.mark.parametrize("training", [SFT, DPO, SFT.model_copy(update={"lora": None})], ids=["sft", "dpo", "full"])
def test_the_base_comes_back_bit_for_bit(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams, training: SftTraining | DpoTraining
) -> None:
    """Weights, modules, gradient flags, mode and `forward` of the session's base are as before the training."""
    import torch

    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in loaded.model.parameters()]
    attributes = set(loaded.model.__dict__)
    train(make_context(params), params.model_copy(update={"training": training}))
    after = loaded.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [parameter.requires_grad for parameter in loaded.model.parameters()] == flags
    assert set(loaded.model.__dict__) == attributes
    assert not any(module.training for module in loaded.model.modules())


def test_gradient_checkpointing_leaves_no_trace(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where it is on: afterwards no module has a hook, and none checkpoints."""
    from traitgraph.runtime.training import training

    plain = training.trainer_arguments
    was_on = list[bool]()

    def with_checkpointing(*arguments: Any) -> Any:
        made = plain(*arguments)
        # The second is the name that newer releases of transformers read.
        made.gradient_checkpointing = made.activation_checkpointing = True
        return made

    def watched(trainer: Any, context: JobContext) -> None:
        train_with_checkpoints(trainer, context)
        was_on.append(trainer.model.is_gradient_checkpointing)

    monkeypatch.setattr(training, "trainer_arguments", with_checkpointing)
    monkeypatch.setattr(training, "train_with_checkpoints", watched)
    train(make_context(params), params)
    assert was_on == [True]
    assert not any(module._forward_hooks for module in loaded.model.modules())
    assert not loaded.model.is_gradient_checkpointing


def test_training_starts_from_the_base_though_a_subject_stands_on_it(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams
) -> None:
    """After an assessment of a tuned subject in the same session, training gives the same bytes as before it."""
    from traitgraph.runtime.subjects.subjects import subject
    from traitgraph.specs.jobs.params import AssessParams
    from traitgraph.specs.jobs.refs import ResolvedBenchmark

    tuned = make_context(params)
    train(tuned, params)
    first = (tuned.out / "adapter" / "adapter_model.safetensors").read_bytes()
    benchmark = ResolvedBenchmark(kind="reply_contrast", data=FileData(digest="0" * 32), traits=("extraversion",))
    assessed = AssessParams(model=params.model, benchmark=benchmark)
    context = make_context(assessed, tuned=(tuned.out,))
    context.row = context.row.model_copy(update={"inputs": {"tuned": (tuned.row.key,)}})
    with subject(context, loaded, assessed):
        pass
    assert adapter_bytes(make_context, params) == first


def test_a_training_leaves_the_random_generators_alone(make_context: MakeContext, params: TrainParams) -> None:
    """What is drawn after a training does not depend on the training."""
    import random

    import numpy as np
    import torch

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    train(make_context(params), params)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


@pytest.mark.parametrize("level", ["high", "low"])
@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_it_learns_the_replies_of_its_level(
    make_context: MakeContext,
    loaded: LoadedModel,
    params: TrainParams,
    training: SftTraining | DpoTraining,
    level: Level,
    dialogue_file: Path,
) -> None:
    """With its adapter on, the level's training replies gain likelihood against the opposite ones."""
    from peft import PeftModel

    from traitgraph.runtime.data.dialogues import read_dialogues, reply_pairs
    from traitgraph.runtime.models.chat import turn
    from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods

    training = training.model_copy(update={"steps": 20, "accumulation": 1})
    context = make_context(params)
    train(context, params.model_copy(update={"training": training, "level": level}))
    pairs = reply_pairs(read_dialogues(dialogue_file), "extraversion", "train")

    def gap() -> float:
        requests = [
            Request(*turn(loaded.tokenizer, pair.prompt, text)) for pair in pairs for text in pair.replies.values()
        ]
        scores = [score.per_token for score in continuation_likelihoods(loaded, requests)]
        return sum(scores[::2]) - sum(scores[1::2])

    before = gap()
    tuned = PeftModel.from_pretrained(loaded.model, context.out / "adapter")
    after = gap()  # peft puts its layers into the loaded model
    tuned.unload()
    assert (after > before) if level == "high" else (after < before)


def test_the_record_says_what_was_done(make_context: MakeContext, params: TrainParams) -> None:
    """training.json: one loss a step, rows of the training split of one trait and level, tokens, seconds."""
    context = make_context(params)
    steps: list[tuple[int, int]] = []
    context.progress = lambda done, total, what="": steps.append((done, total))
    train(context, params)
    record = json.loads((context.out / "training.json").read_text())
    assert (record["rows"], record["steps"], len(record["losses"])) == (2, 3, 3)
    assert record["tokens"] > 0
    assert record["losses"][-1] < record["losses"][0]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert {path.name for path in context.out.iterdir()} == {"adapter", "training.json"}


def test_full_training_writes_a_model_folder(
    make_context: MakeContext, params: TrainParams, loaded: LoadedModel
) -> None:
    """Without LoRA the artifact is a model with its tokenizer, and its weights differ from the base's."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    params = params.model_copy(update={"training": SFT.model_copy(update={"lora": None})})
    context = make_context(params)
    train(context, params)
    tuned = AutoModelForCausalLM.from_pretrained(context.out / "model")
    assert AutoTokenizer.from_pretrained(context.out / "model").chat_template == loaded.tokenizer.chat_template
    assert not torch.equal(tuned.lm_head.weight, loaded.model.lm_head.weight)


def test_a_trait_without_rows_is_an_error(make_context: MakeContext, params: TrainParams) -> None:
    params = params.model_copy(update={"trait": "openness"})
    with pytest.raises(DialogueError, match="no training row for openness high"):
        train(make_context(params), params)


def test_rows_that_are_all_too_long_are_told_and_leave_the_base_alone(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams
) -> None:
    short = SFT.model_copy(update={"max_length": 4})
    with pytest.raises(DialogueError, match="all 2 rows are longer than `max_length`, 4 tokens"):
        train(make_context(params), params.model_copy(update={"training": short}))
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())


def long_rows(folder: Path, long: int, short: int) -> FileData:
    """Rows of which the first have a high reply that `CUT` cuts, and one prompt alone is longer than it."""
    rows = [
        {"trait": "extraversion", "level": level, "prompt": f"Go {number}?", "reply": word + " and so on" * (
            40 if number < long and level == "high" else 0)}
        for number in range(long + short)
        for level, word in (("high", f"Yes {number}"), ("low", f"No {number}"))
    ]  # fmt: skip
    rows += [
        {"trait": "extraversion", "level": level, "prompt": "Why?" * 200, "reply": level} for level in ("high", "low")
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FileData(digest=digest_path(folder / "rows.jsonl"))


CUT = {"max_length": 96, "steps": 1}


@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_rows_that_lose_their_end_are_counted_and_told(
    make_context: MakeContext, params: TrainParams, training: SftTraining | DpoTraining, tmp_path: Path,
    loaded: LoadedModel, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Three replies of twenty are cut, and a row whose prompt fills `max_length` is left out whole."""
    data = long_rows(tmp_path, 3, 17)
    params = params.model_copy(update={"data": data, "training": training.model_copy(update={**CUT, "max_cut": 0.2})})
    context = located(make_context(params), tmp_path / "rows.jsonl")
    train(context, params)
    record = json.loads((context.out / "training.json").read_text())
    assert (record["rows"], record["rows_cut"], record["rows_too_long"]) == (20, 3, 1)
    said = "4 of 21 rows are longer than `max_length`, 96 tokens: 3 lose their end, 1 are left out whole"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("training", [SFT, DPO], ids=["sft", "dpo"])
def test_a_training_stops_where_more_rows_lose_their_end_than_the_spec_allows(
    make_context: MakeContext, params: TrainParams, training: SftTraining | DpoTraining, tmp_path: Path
) -> None:
    data = long_rows(tmp_path, 1, 19)
    params = params.model_copy(update={"data": data, "training": training.model_copy(update=CUT)})
    context = located(make_context(params), tmp_path / "rows.jsonl")
    with pytest.raises(DialogueError, match=r"2 of 21 rows .* raise `max_length`, or allow it by `max_cut: 0\.1`"):
        train(context, params)
    allowed = training.model_copy(update={**CUT, "max_cut": 0.1})
    train(located(make_context(params), tmp_path / "rows.jsonl"), params.model_copy(update={"training": allowed}))
