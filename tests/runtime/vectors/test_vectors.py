from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import load, save_adapter, save_fine_tune, untied
from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError
from traitgraph.runtime.vectors.extraction import build_vector
from traitgraph.runtime.vectors.vectors import Vector, load_vector


def built(tmp_path: Path, base: Path, tuned: Path) -> Vector:
    out = tmp_path / "vector"
    out.mkdir()
    build_vector(tuned, Checkpoint(base), out)
    return load_vector(out)


ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True},
    "rank and alpha by module": {
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"q_proj": 3, r"layers\.1\.mlp\.up_proj": 5},
    },
    "saved module": {"modules_to_save": ["norm"], "target_modules": ["q_proj"]},
    "embedding": {"target_modules": ["embed_tokens", "v_proj"]},
    "weight-decomposed": {"use_dora": True},
}


def is_what_peft_merges(tmp_path: Path, folder: Path, **options: Any) -> None:
    """Compare the vector of a new adapter of the model in `folder` with what peft's own merge changes."""
    import torch
    from peft import PeftModel

    adapter = save_adapter(folder, tmp_path / "adapter", seed=3, **options)
    merged = dict(PeftModel.from_pretrained(load(folder), str(adapter)).merge_and_unload().named_parameters())
    base = dict(load(folder).named_parameters())
    vector = built(tmp_path, folder, adapter)
    assert set(vector.names) <= set(base)
    for name in base:
        expected = merged[name] - base[name]
        found = vector.delta(name) if name in vector.names else torch.zeros_like(expected)
        torch.testing.assert_close(found, expected.detach(), atol=2e-6, rtol=0)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
@pytest.mark.parametrize("options", ADAPTERS.values(), ids=ADAPTERS)
def test_vector_of_an_adapter_is_what_peft_merges(tmp_path: Path, base_folder: Path, options: dict[str, Any]) -> None:
    is_what_peft_merges(tmp_path, untied(base_folder, tmp_path / "untied"), **options)


BIASES: dict[str, dict[str, Any]] = {
    "of adapted modules": {"bias": "lora_only"},
    "all": {"bias": "all", "target_modules": ["q_proj"]},
    "of the low-rank path": {"lora_bias": True, "use_rslora": True, "target_modules": ["q_proj", "down_proj"]},
}


@pytest.mark.filterwarnings("ignore:Adapter .default.:Warning")  # peft takes a bias for a tensor in parts
@pytest.mark.parametrize("options", BIASES.values(), ids=BIASES)
def test_trained_biases_are_part_of_the_vector(tmp_path: Path, options: dict[str, Any]) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(**shape, vocab_size=64, attention_bias=True, mlp_bias=True))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(tmp_path / "base")
    is_what_peft_merges(tmp_path, tmp_path / "base", **options)


def test_layers_that_keep_inputs_first_are_read_the_right_way_round(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 64}
    model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0))
    model.save_pretrained(tmp_path / "base")
    is_what_peft_merges(tmp_path, tmp_path / "base", target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)


def test_adapter_with_rank_stabilised_scale_and_pattern_stays_low_rank(tmp_path: Path, base_folder: Path) -> None:
    adapter = save_adapter(base_folder, tmp_path / "adapter", seed=3, **ADAPTERS["rank and alpha by module"])
    vector = built(tmp_path, base_folder, adapter)
    assert vector.record["form"] == "low-rank"
    assert vector.record["tensors"]["model.layers.0.self_attn.q_proj.weight"]["rank"] == 2


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 0.3), ("float32", 1e-6), ("bfloat16", 0.05), ("float16", 0.05)]
)
def test_base_plus_full_vector_is_the_fine_tune_bit_for_bit(
    tmp_path: Path, base_folder: Path, dtype: str, size: float
) -> None:
    import torch

    load(base_folder, dtype).save_pretrained(tmp_path / "base")
    tuned = save_fine_tune(tmp_path / "base", tmp_path / "tuned", seed=4, size=size, dtype=dtype)
    vector = built(tmp_path, tmp_path / "base", tuned)
    base, expected = Checkpoint(tmp_path / "base"), Checkpoint(tuned)
    for name in base:
        rows = vector.shape(name)[0] if len(vector.shape(name)) > 1 else 1
        theta = base.read(name).float().flatten() + vector.piece(name, 0, rows)
        if (rest := vector.rest(name, 0, rows)) is not None:
            theta += rest
        assert torch.equal(theta.reshape(vector.shape(name)).to(getattr(torch, dtype)), expected.read(name))


def test_record_holds_norms_by_layer_that_add_up(tmp_path: Path, base_folder: Path) -> None:
    import torch

    vector = built(tmp_path, base_folder, save_fine_tune(base_folder, tmp_path / "tuned", seed=4))
    whole = torch.cat([vector.delta(name).flatten() for name in vector.names])
    layers = vector.record["layer_norms"]
    assert set(layers) == {"0", "1", "rest"}
    assert sum(norm**2 for norm in layers.values()) ** 0.5 == pytest.approx(vector.record["norm"])
    assert vector.record["norm"] == pytest.approx(float(whole.double().norm()), rel=1e-6)
    low_rank = built(tmp_path / "adapter", base_folder, save_adapter(base_folder, tmp_path / "adapter", seed=1))
    whole = torch.cat([low_rank.delta(name).flatten() for name in low_rank.names])
    assert low_rank.record["norm"] == pytest.approx(float(whole.double().norm()), rel=1e-5)


def test_bfloat16_storage_says_what_it_lost(tmp_path: Path, base_folder: Path) -> None:
    import torch

    tuned = save_fine_tune(base_folder, tmp_path / "tuned", seed=4)
    build_vector(tuned, Checkpoint(base_folder), made(tmp_path / "half"), stored="bfloat16")
    half, exact = load_vector(tmp_path / "half"), built(tmp_path, base_folder, tuned)
    lost = whole = 0.0
    for name in exact.names:
        assert torch.equal(half.delta(name), exact.delta(name).bfloat16().float())
        lost += float((half.delta(name) - exact.delta(name)).double().square().sum())
        whole += float(exact.delta(name).double().square().sum())
    assert half.record["stored"]["dtype"] == ["bfloat16"]
    assert half.record["stored"]["round_trip_error"] == pytest.approx((lost / whole) ** 0.5, rel=1e-3)
    assert 1e-4 < half.record["stored"]["round_trip_error"] < 4e-3
    assert exact.record["stored"]["round_trip_error"] == 0


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_unchanged_tensors_are_not_stored_but_counted(tmp_path: Path, base_folder: Path) -> None:
    import torch

    model = load(base_folder)
    with torch.no_grad():
        model.model.norm.weight += 1
    model.save_pretrained(tmp_path / "tuned")
    vector = built(tmp_path, base_folder, tmp_path / "tuned")
    assert vector.names == ("model.norm.weight",)
    assert vector.elements == sum(parameter.numel() for parameter in model.parameters())


def test_equal_vectors_have_equal_fingerprints_and_others_do_not(tmp_path: Path, base_folder: Path) -> None:
    one, same, other = (
        built(tmp_path / str(number), base_folder, save_adapter(base_folder, tmp_path / str(number), seed=seed))
        for number, seed in enumerate((1, 1, 2))
    )
    assert one.id == same.id != other.id


def test_adapter_of_another_base_is_refused_with_the_tensor(tmp_path: Path, base_folder: Path) -> None:
    from tests.tiny_model import save_tiny_model

    wide = save_tiny_model(tmp_path / "wide", hidden=64)
    adapter = save_adapter(wide, tmp_path / "adapter", seed=1)
    with pytest.raises(MergeError, match=r"'model\.layers\.0.*shape \[.*trained on another base"):
        built(tmp_path, base_folder, adapter)
    deep = save_tiny_model(tmp_path / "deep", layers=3)
    with pytest.raises(MergeError, match=r"first 'model\.layers\.2.*needs a name map"):
        built(tmp_path / "deep", base_folder, save_adapter(deep, tmp_path / "deep" / "adapter", seed=1))


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
def test_adapter_on_a_tied_embedding_is_refused(tmp_path: Path, base_folder: Path) -> None:
    adapter = save_adapter(
        untied(base_folder, tmp_path / "untied"), tmp_path / "a", seed=1, target_modules=["embed_tokens"]
    )
    with pytest.raises(MergeError, match=r"'model\.embed_tokens\.weight', which the base ties"):
        built(tmp_path, base_folder, adapter)


def test_nan_in_a_fine_tune_is_refused_with_the_tensor(tmp_path: Path, base_folder: Path) -> None:
    import torch

    model = load(base_folder)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] = float("nan")
    model.save_pretrained(tmp_path / "tuned")
    with pytest.raises(MergeError, match=r"'model\.layers\.1\.mlp\.up_proj\.weight'.*NaN"):
        built(tmp_path, base_folder, tmp_path / "tuned")


def test_folders_are_given_as_text_too(tmp_path: Path, base_folder: Path) -> None:
    adapter = save_adapter(base_folder, tmp_path / "adapter", seed=1)
    build_vector(str(adapter), Checkpoint(str(base_folder)), str(tmp_path / "new" / "vector"))
    assert load_vector(str(tmp_path / "new" / "vector")).names == built(tmp_path, base_folder, adapter).names


def test_files_that_are_open_at_the_end_of_a_process_close_without_a_word(base_folder: Path) -> None:
    """A name of the main module lives longest: until after the names that closing would need are gone."""
    program = (
        "import sys; from traitgraph.runtime.merging import Checkpoint; sys.kept = Checkpoint(sys.argv[1]); "
        "sys.kept.read(next(iter(sys.kept)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(base_folder)], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_files_of_a_checkpoint_that_nobody_has_are_closed(base_folder: Path) -> None:
    def times_open() -> int:
        weights = (base_folder / "model.safetensors").resolve()
        return sum(each.resolve() == weights for each in Path("/proc/self/fd").iterdir())

    before = times_open()
    checkpoint = Checkpoint(base_folder)
    checkpoint.read(next(iter(checkpoint)))
    assert times_open() == before + 1
    del checkpoint
    assert times_open() == before
