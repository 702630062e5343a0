"""Trait neurons (NPTI): how their firing is measured, which are chosen, and what turning them up and off does."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.steered import TRAIT, assess_context, assessed, contrast_of, hooks_of
from traitgraph.runtime.data.dialogues import load_trait_prompts
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.chat import PromptMessage, prompt_ids, turn
from traitgraph.runtime.models.forward_pass import reading, seen_by
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.subjects.neurons import Firing, gated_mlps, neuron_sets, neurons
from traitgraph.runtime.subjects.spans import SteeringError
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.jobs.params import NeuronsParams, NeuronSteering, Prompt
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path

if TYPE_CHECKING:
    import torch

PROMPTS = {"high": "You love company.", "low": "You love silence, and being alone."}


def params_of(model: FolderModel, data: FileData) -> NeuronsParams:
    return NeuronsParams(
        model=model, data=data, repetition_penalty=1.1, max_new_tokens=8, quantile=0.95, trait=TRAIT,
        high=Prompt(system=PROMPTS["high"]), low=Prompt(system=PROMPTS["low"]),
    )  # fmt: skip


def run_benchmark(make_context: MakeContext, model: FolderModel, data: FileData) -> Path:
    """The folder of a `neurons` artifact."""
    params = params_of(model, data)
    context = make_context(params)
    neurons(context, params)
    return context.out


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "neurons.safetensors")


def steering(**changes: Any) -> NeuronSteering:
    given = {
        "level": "high", "gamma": Decimal(1), "neurons": 5, "difference": 1.0, "share": 1.0, "midpoint": 0.15,
        "steepness": 10.0, "seed": 0,
    }  # fmt: skip
    return NeuronSteering.model_validate({**given, **changes})


# ---------------------------------------------------------------- measuring


def test_firing_is_counted_as_by_hand() -> None:
    """Share above zero, and the quantile of what is above zero to a step of 0.01; above 3 the last step stands."""
    import torch

    values = torch.randn(400, 5, generator=torch.Generator().manual_seed(2)) * torch.tensor([0.3, 1, 0.1, 0, 9])
    firing = Firing(1, 5, torch.device("cpu"))
    for part in torch.split(values, 150):
        firing.count(0, part)
        firing.tokens += len(part)
    assert torch.allclose(firing.probability()[0], (values > 0).float().mean(0))
    quantiles = firing.quantile(0.95)[0]
    for unit in (0, 1, 2):
        above = values[:, unit][values[:, unit] > 0]
        expected = float(above.quantile(0.95, interpolation="higher"))
        assert float(quantiles[unit]) == pytest.approx(expected, abs=0.0101)
    assert quantiles[3] == 0, "it never fires"
    assert float(quantiles[4]) == pytest.approx(3)


def test_the_job_measures_the_tokens_of_the_answers_under_both_prompts(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    """Shares above zero as from plain passes, one answer at a time, over the answers that the artifact keeps."""
    import torch

    folder = run_benchmark(make_context, model_ref, dialogue_data)
    answers = [json.loads(line) for line in (folder / "replies.jsonl").read_text().splitlines()]
    assert [each["level"] for each in answers] == ["high"] * 2 + ["low"] * 2, "the two training questions, twice"
    found, record = tensors(folder), json.loads((folder / "neurons.json").read_text())
    for level, prompt in PROMPTS.items():
        fired = [
            plain_gates(loaded, each["question"], each["reply"], prompt) > 0
            for each in answers
            if each["level"] == level and each["reply"]
        ]
        together = torch.cat(fired, dim=1)
        assert record["tokens"][level] == together.shape[1]
        torch.testing.assert_close(found[f"probability.{level}"], together.float().mean(1), atol=1e-6, rtol=0)
    assert not torch.equal(found["probability.high"], found["probability.low"])
    assert PROMPTS["high"] in record["model_sees"]


def plain_gates(loaded: LoadedModel, question: str, reply: str, prompt: str) -> torch.Tensor:
    """silu(gate_proj(x)) at the tokens of a reply without its end of turn: [blocks, tokens, units]."""
    import torch

    before, after = turn(loaded.tokenizer, question, reply, PromptMessage(prompt))
    seen: list[torch.Tensor] = []
    with torch.no_grad(), seen_by([block.mlp.gate_proj for block in loaded.model.model.layers], seen.append):
        loaded.model(torch.tensor([before + after[:-1]]))
    return torch.nn.functional.silu(torch.cat(seen)[:, len(before) :])


def test_an_interrupted_job_gives_the_same_answers_and_bits(
    make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Stopped after each batch in turn; answers of a batch that was not whole are written again."""
    import torch

    monkeypatch.setattr("traitgraph.runtime.models.resumable_generation.BATCH_ROWS", {"cpu": 2})
    monkeypatch.setattr("traitgraph.runtime.models.generation.BATCH_ROWS", {"cpu": 2})
    whole, params = run_benchmark(make_context, model_ref, dialogue_data), params_of(model_ref, dialogue_data)
    partial = tmp_path / "partial"
    partial.mkdir()

    def again(*wanted: bool) -> JobContext:
        context, asked = make_context(params), iter(wanted)
        context.partial, context.stop_wanted = partial, lambda: next(asked)
        neurons(context, params)
        return context

    with pytest.raises(Stopped):
        again(False, True)
    with (partial / "replies.jsonl").open("a") as stream:
        stream.write('["2", "of a batch that was cut"]\n["3", "torn')
    context = again(False)
    assert (context.out / "replies.jsonl").read_bytes() == (whole / "replies.jsonl").read_bytes()
    assert all(torch.equal(value, tensors(whole)[name]) for name, value in tensors(context.out).items())
    assert all(torch.equal(v, tensors(whole)[name]) for name, v in tensors(again().out).items()), "nothing is asked"


def test_questions_are_the_training_prompts_of_the_trait(
    make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData, tmp_path: Path,
    locations: dict[str, str],
) -> None:  # fmt: skip
    """Each once; rows need neither a reply nor a trait."""
    context = make_context(params_of(model_ref, dialogue_data))
    assert load_trait_prompts(context, dialogue_data, TRAIT) == ["What do you do at the weekend?", "A friend calls."]
    path = tmp_path / "questions.jsonl"
    path.write_text('{"q": "Parties?"}\n{"q": "Worries?", "trait": "Neuroticism"}\n{"q": "Parties?"}\n')
    locations[digest_path(path)] = str(path)
    own = FileData(digest=digest_path(path), fields={"prompt": "q"})
    assert load_trait_prompts(context, own, TRAIT) == ["Parties?"]
    assert load_trait_prompts(context, own, "neuroticism") == ["Parties?", "Worries?"]
    with pytest.raises(DialogueError, match="no question about openness"):
        load_trait_prompts(context, dialogue_data, "openness")


def test_models_without_gated_mlps_are_refused_with_the_reason() -> None:
    from transformers import (
        AutoModelForCausalLM,
        Gemma2Config,
        GPTNeoXConfig,
        MixtralConfig,
        Phi3Config,
        Qwen2Config,
    )

    small = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3,
             "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 4}  # fmt: skip
    neox = GPTNeoXConfig(**{name: small[name] for name in list(small)[:5]})
    for config in (neox, MixtralConfig(**small, num_local_experts=3), Phi3Config(**small, pad_token_id=0)):
        with pytest.raises(SteeringError, match="gate_proj, up_proj, down_proj, act_fn, as in Llama"):
            gated_mlps(AutoModelForCausalLM.from_config(config))
    for config in (Qwen2Config(**small), Gemma2Config(**small)):
        assert len({id(mlp.act_fn) for mlp in gated_mlps(AutoModelForCausalLM.from_config(config))}) == 3


# ---------------------------------------------------------------- choosing


def made_up() -> dict[str, torch.Tensor]:
    """Two blocks of five units, with differences high - low of .8 .3 .2 .1 0 and -.1 -.2 -.3 -.4 -.5."""
    import torch

    high = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5], [0.4, 0.3, 0.2, 0.1, 0.0]])
    low = torch.tensor([[0.1, 0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5, 0.5]])
    quantiles = torch.arange(1.0, 11.0).view(2, 5)
    return {
        "probability.high": high, "probability.low": low, "quantile.high": quantiles, "quantile.low": -quantiles,
    }  # fmt: skip


def test_the_largest_differences_are_turned_up_by_the_formula_and_their_opposites_off() -> None:
    boost, off = neuron_sets(made_up(), steering(neurons=2))
    expected = [1 / (1 + math.exp(-10 * (0.8 - 0.15))) * 1, 1 / (1 + math.exp(-10 * (0.3 - 0.15))) * 2]
    assert boost.flatten().tolist() == pytest.approx([*expected, *[0] * 8])
    assert off.flatten().nonzero().flatten().tolist() == [8, 9]


def test_the_other_level_swaps_the_sets() -> None:
    boost, off = neuron_sets(made_up(), steering(neurons=2, level="low"))
    assert boost.flatten().nonzero().flatten().tolist() == [8, 9]
    assert (boost <= 0).all(), "the quantile is that under the pole's own prompt"
    assert off.flatten().nonzero().flatten().tolist() == [0, 1]


def test_all_large_differences_belong_to_a_set_and_none_of_the_other_sign() -> None:
    boost, off = neuron_sets(made_up(), steering(neurons=1, difference=0.19))
    assert (int((boost != 0).sum()), int(off.sum())) == (3, 4)
    boost, off = neuron_sets(made_up(), steering(neurons=2000))
    assert (int((boost != 0).sum()), int(off.sum())) == (4, 5)


def test_the_share_that_is_turned_up_is_drawn_by_the_seed() -> None:
    import torch

    def drawn(seed: int) -> torch.Tensor:
        return neuron_sets(made_up(), steering(share=0.5, seed=seed))[0]

    assert int((drawn(0) != 0).sum()) == 2
    assert torch.equal(drawn(0), drawn(0))
    assert len({tuple(drawn(seed).flatten().tolist()) for seed in range(8)}) > 1


# ---------------------------------------------------------------- the subject


def test_gates_are_changed_by_the_formula_where_the_reply_is_predicted(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    """At the last position of a prompt and everywhere in a reply; nowhere else."""
    import torch

    folder = run_benchmark(make_context, model_ref, dialogue_data)
    how = steering(gamma=Decimal("0.5"), neurons=20)
    boost, off = neuron_sets(tensors(folder), how)
    params = contrast_of(model_ref, dialogue_data, neurons=how)
    ids = torch.tensor([prompt_ids(loaded.tokenizer, "Hello?")])
    gate = loaded.model.model.layers[0].mlp
    with subject(assess_context(make_context, params, folder), loaded, params), torch.no_grad():
        for part, first in (("prompt_end", ids.shape[1] - 1), ("reply", 0)):
            before: list[torch.Tensor] = []
            after: list[torch.Tensor] = []
            with seen_by([gate.gate_proj], before.append), seen_by([gate.act_fn], after.append), reading(part):  # type: ignore[arg-type]  # a part
                loaded.model(ids)
            plain = torch.nn.functional.silu(before[0][0])
            expected = torch.where(off[0], plain.clamp(max=0), plain) + 0.5 * boost[0]
            torch.testing.assert_close(after[0][0, first:], expected[first:])
            assert torch.equal(after[0][0, :first], plain[:first])
            assert not torch.allclose(plain[first:], expected[first:])


def test_strengths_are_subjects_of_their_own_and_the_base_comes_back(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    """Gamma 0 still turns the other pole off; it is the base only where there is nothing to turn off."""
    import torch
    from safetensors.torch import save_file

    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    folder = run_benchmark(make_context, model_ref, dialogue_data)

    def scores(how: NeuronSteering | None, folder: Path = folder) -> list[dict[str, object]]:
        return assessed(make_context, loaded, contrast_of(model_ref, dialogue_data, neurons=how), folder).answers

    base, found = scores(None), {}
    for gamma in ("0", "0.5", "2"):
        for level in ("high", "low"):
            found[gamma, level] = scores(steering(gamma=Decimal(gamma), level=level, neurons=20))
    assert len({str(each) for each in [base, *found.values()]}) == 7
    assert scores(steering(gamma=Decimal("0.5"), neurons=20)) == found["0.5", "high"]
    leave_subject(make_context(contrast_of(model_ref, dialogue_data)), loaded)
    assert hooks_of(loaded.model) == 0
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())
    alike = {name: value.clone() for name, value in tensors(folder).items()}
    alike["probability.low"] = alike["probability.high"].clone()
    (folder / "alike").mkdir()
    save_file(alike, folder / "alike" / "neurons.safetensors")
    assert scores(steering(gamma=Decimal(0)), folder / "alike") == base
