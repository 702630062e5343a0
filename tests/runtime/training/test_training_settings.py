"""Every setting of a training that a spec may give reaches the trainer, or is refused."""

from __future__ import annotations

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.training import training as module
from traitgraph.runtime.training.rows import trainer_rows
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.study.training import Lora, SftTraining

SFT = SftTraining(learning_rate=1e-2, steps=2, batch_size=2, lora=Lora(rank=2, alpha=4))


@pytest.fixture
def params(model_ref: FolderModel, dialogue_data: FileData) -> TrainParams:
    return TrainParams(model=model_ref, data=dialogue_data, training=SFT, trait="extraversion", level="high", seed=7)


def test_the_instruction_leads_every_row(make_context: MakeContext, params: TrainParams) -> None:
    told = params.model_copy(update={"training": SFT.model_copy(update={"instruction": "{Trait} - {level}"})})
    rows = trainer_rows(make_context(told), told)
    assert {row["prompt"][0]["content"] for row in rows} == {"Extraversion - high"}
    assert all(row["prompt"][0]["role"] == "system" for row in rows)
    plain = trainer_rows(make_context(params), params)
    assert all(row["prompt"][0]["role"] == "user" for row in plain)
    ahead = told.model_copy(update={"training": told.training.model_copy(update={"instruction_place": "user"})})
    for row, alone in zip(trainer_rows(make_context(ahead), ahead), plain, strict=True):
        content = f"Extraversion - high\n\n{alone['prompt'][0]['content']}"
        assert row["prompt"] == [{"role": "user", "content": content}]


def test_a_lone_process_that_sees_several_gpus_trains_one_batch(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers would put a copy of the model and a whole batch on each."""
    import transformers

    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", property(lambda self: getattr(self, "_n_gpu", 4) or 4))
    arguments = module.trainer_arguments(params, loaded, make_context(params).out)
    assert arguments._n_gpu == 1
    assert arguments.train_batch_size == SFT.batch_size


def test_only_the_named_layers_get_an_adapter(make_context: MakeContext, params: TrainParams) -> None:
    from safetensors import safe_open

    named = Lora(rank=2, alpha=4, targets=("self_attn.v_proj", "up_proj"))
    context = make_context(params)
    module.train(context, params.model_copy(update={"training": SFT.model_copy(update={"lora": named})}))
    with safe_open(context.out / "adapter" / "adapter_model.safetensors", "pt") as file:
        changed = {key.rpartition(".lora_")[0].rpartition(".")[2] for key in file.keys()}  # noqa: SIM118  # no mapping
    assert changed == {"v_proj", "up_proj"}


@pytest.mark.parametrize("name", ["w_proj", "lm_head", "embed_tokens"])
def test_a_layer_that_the_model_lacks_is_named_with_those_it_has(
    make_context: MakeContext, params: TrainParams, name: str
) -> None:
    wrong = SFT.model_copy(update={"lora": Lora(rank=2, alpha=4, targets=("q_proj", name))})
    there = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
    with pytest.raises(ValueError, match=rf"no linear layer of the model is called '{name}'; there are: {there}"):
        module.train(make_context(params), params.model_copy(update={"training": wrong}))


def test_optimiser_and_gradient_norm_reach_the_trainer(
    make_context: MakeContext, loaded: LoadedModel, params: TrainParams
) -> None:
    changed = SFT.model_copy(update={"optimiser": "adafactor", "max_gradient_norm": 0.3})
    context = make_context(params)
    arguments = module.trainer_arguments(params.model_copy(update={"training": changed}), loaded, context.out)
    assert (str(arguments.optim.value), arguments.max_grad_norm) == ("adafactor", 0.3)
    usual = module.trainer_arguments(params, loaded, context.out)
    assert (str(usual.optim.value), usual.max_grad_norm) == ("adamw_torch_fused", 1.0)


def test_processes_that_cannot_share_a_step_are_a_fault_with_its_repair() -> None:
    with pytest.raises(ValueError, match=r"2 processes cannot share the 5 rows of a step .* GPUs that divides 5"):
        module.shared_batch(5, 1, 2)
