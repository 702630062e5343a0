"""Which files of a folder count, and what of them is a weight: as transformers and peft read it, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.bench import load, save_adapter
from tests.runtime.merging.recipes import written
from tests.tiny_model import tiny_tokenizer
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging import Checkpoint
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.specs.source.diagnostics import SpecError

if TYPE_CHECKING:
    import torch

HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


def model(folder: Path, kind: str = "llama", *, seed: int = 0, tied: bool = True) -> Path:
    """A model of random weights with its tokenizer."""
    import torch
    import transformers

    words = tiny_tokenizer()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes["num_key_value_heads"] = 2
    if kind == "llama":
        config = transformers.LlamaConfig(vocab_size=len(words), tie_word_embeddings=tied, **sizes)
    elif kind == "qwen3":
        config = transformers.Qwen3Config(vocab_size=len(words), tie_word_embeddings=tied, head_dim=8, **sizes)
    else:
        config = transformers.GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = transformers.AutoModelForCausalLM.from_config(config)
        for each in net.parameters():
            each.data.copy_(torch.randn_like(each) * 0.1 + (each.dim() == 1))
    net.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def tuned(base: Path, folder: Path) -> Path:
    """The base with noise on every weight, in a folder of its own."""
    import torch

    net = load(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for each in net.parameters():
            each.data.add_(torch.randn_like(each) * 0.02)
    net.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def store(folder: Path, more: dict[str, Any], without: str = "") -> None:
    """The folder's weights with other tensors beside them."""
    from safetensors.torch import save_file

    kept = {name: each for name, each in tensors(folder).items() if name != without}
    save_file({**kept, **more}, folder / "model.safetensors", metadata={"format": "pt"})


def logits(source: Any) -> torch.Tensor:
    import torch

    net = load(source) if isinstance(source, Path) else source
    with torch.no_grad():
        found: torch.Tensor = net(torch.arange(20)[None] + 10).logits
    return found


def far(left: Any, right: Any) -> float:
    return float((logits(left) - logits(right)).abs().max())


def merged(folder: Path, recipe: str) -> Path:
    shutil.rmtree(folder / "out", ignore_errors=True)
    merge_from_file(written(folder, recipe), folder / "out")
    return folder / "out"


def test_a_whole_file_counts_before_shards_beside_it(tmp_path: Path) -> None:
    """Older shards with their index, whole or in part, beside what transformers loads."""
    base = tuned(model(tmp_path / "first"), tmp_path / "base")
    tuned(base, tmp_path / "tuned")
    load(tmp_path / "first").save_pretrained(tmp_path / "old", max_shard_size="20KB")
    for file in (tmp_path / "old").glob("model*"):
        shutil.copy(file, base)
    assert far(base, merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 0}]\n")) == 0
    for file in base.glob("model-*"):
        file.unlink()
    assert far(tmp_path / "tuned", merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")) == 0


@pytest.mark.parametrize("inner", ["adapter", "model"])
def test_the_named_adapter_counts_and_none_inside_it(tmp_path: Path, inner: str) -> None:
    from peft import PeftModel

    base = model(tmp_path / "base")
    named = save_adapter(base, tmp_path / "named", seed=1)
    save_adapter(base, named / inner, seed=2)
    expected = PeftModel.from_pretrained(load(base), named).merge_and_unload()
    out = merged(tmp_path, "base: base\nvectors: [{adapter: named}]\n")
    assert far(expected, out) < 1e-4
    (named / "adapter_config.json").unlink()
    with pytest.raises(SpecError, match=r"TG216.*'named' is no LoRA adapter"):
        merged(tmp_path, "base: base\nvectors: [{adapter: named}]\n")


BUFFERS = {
    "model.layers.1.self_attn.rotary_emb.inv_freq": (4,),
    "transformer.h.1.attn.bias": (1, 1, 8, 8),
    "transformer.h.0.attn.masked_bias": (),
}


@pytest.mark.parametrize("side", ["base", "tuned", "both"])
@pytest.mark.parametrize("name", BUFFERS)
def test_buffers_stay_as_in_the_base_whoever_stores_them(tmp_path: Path, name: str, side: str) -> None:
    """transformers computes them; one side, both, or other numbers on each: no difference of weights."""
    import torch

    base = model(tmp_path / "base", "gpt2" if "transformer" in name else "llama")
    tuned(base, tmp_path / "tuned")
    for number, place in enumerate(("base", "tuned")):
        if side in (place, "both"):
            store(tmp_path / place, {name: torch.full(BUFFERS[name], 1.0 + number)})
    out = merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")
    assert far(tmp_path / "tuned", out) < 1e-4
    kept = tensors(out)
    assert (name in kept) == (side != "tuned")
    assert name not in kept or bool((kept[name] == 1.0).all())


def test_a_buffer_is_known_by_the_class_of_the_model(tmp_path: Path) -> None:
    """A name that nobody could list: transformers knows that it does not load it. A weight is refused as before."""
    import torch

    base = model(tmp_path / "base", "gpt2")
    tuned(base, tmp_path / "tuned")
    store(tmp_path / "tuned", {"transformer.h.1.attn.bias": torch.ones(1, 8, 8)})  # of another shape than a mask's
    assert far(tmp_path / "tuned", merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")) < 1e-4
    store(tmp_path / "tuned", {"transformer.h.1.attn.gate": torch.ones(8)})
    with pytest.raises(MergeError, match=r"different tensors.*attn.gate"):
        merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")


@pytest.mark.parametrize("kind", ["qwen3", "gpt2"])
@pytest.mark.parametrize("stored_in", [("base",), ("tuned",), ("base", "tuned")], ids="+".join)
def test_tied_embeddings_are_told_by_the_configuration(tmp_path: Path, kind: str, stored_in: tuple[str, ...]) -> None:
    """Also by the class's own default, which no config.json repeats."""
    base = model(tmp_path / "base", kind)
    tuned(base, tmp_path / "tuned")
    name = "transformer.wte.weight" if kind == "gpt2" else TABLE
    for place in stored_in:
        store(tmp_path / place, {HEAD: tensors(tmp_path / place)[name].clone()})
        assert HEAD not in Checkpoint(tmp_path / place)
    out = merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")
    assert far(tmp_path / "tuned", out) < 1e-4
    assert HEAD not in tensors(out)


def test_a_tied_model_that_stores_its_head_alone_has_the_same_table(tmp_path: Path) -> None:
    base = model(tmp_path / "base", "qwen3")
    tuned(base, tmp_path / "tuned")
    store(tmp_path / "tuned", {HEAD: tensors(tmp_path / "tuned")[TABLE].clone()}, without=TABLE)
    out = merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")
    assert far(tmp_path / "tuned", out) < 1e-4
    assert {HEAD, TABLE} & tensors(out).keys() == {TABLE}


def test_a_stored_head_of_other_numbers_is_a_head_of_its_own(tmp_path: Path) -> None:
    """Whatever the configuration says: transformers ties only equal tables."""
    base = model(tmp_path / "base", "qwen3")
    tuned(base, tmp_path / "tuned")
    for place in ("base", "tuned"):
        store(tmp_path / place, {HEAD: tensors(tmp_path / place)[TABLE] * 2})
    out = merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")
    assert far(tmp_path / "tuned", out) < 1e-4
    assert HEAD in tensors(out)


def test_an_untied_head_of_equal_numbers_stays(tmp_path: Path) -> None:
    """A model that has just been untied: its fine-tune moves the two apart."""
    base = model(tmp_path / "base", tied=False)
    store(base, {HEAD: tensors(base)[TABLE].clone()})
    tuned(base, tmp_path / "tuned")
    assert HEAD in Checkpoint(base)
    assert far(tmp_path / "tuned", merged(tmp_path, "base: base\nvectors: [{model: tuned, alpha: 1}]\n")) < 1e-4


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning", "ignore:Setting `save_emb")
def test_an_adapter_on_tied_embeddings_is_refused_with_a_stored_head_too(tmp_path: Path) -> None:
    base = model(tmp_path / "base", "qwen3")
    save_adapter(base, tmp_path / "adapter", seed=1, target_modules=["embed_tokens"])
    store(base, {HEAD: tensors(base)[TABLE].clone()})
    with pytest.raises(MergeError, match="ties to its output head"):
        merged(tmp_path, "base: base\nvectors: [{adapter: adapter}]\n")


def test_a_merge_file_names_what_is_no_model_at_its_line(tmp_path: Path) -> None:
    model(tmp_path / "base")
    for name in ("empty", "pickled"):
        (tmp_path / name).mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").touch()
    (tmp_path / "pickled" / "config.json").write_text(json.dumps({}))
    with pytest.raises(SpecError) as refused:
        merged(tmp_path, "base: empty\nvectors:\n  - {model: pickled}\n  - {adapter: base}\n")
    text = str(refused.value)
    assert text.count("error[TG216]") == 3
    for line, what in ((1, "'empty' is empty"), (3, "'pickled' has pickled weights"), (4, "'base' is no LoRA adapter")):
        assert what in text
        assert f".yaml:{line}:" in text


def test_a_folder_that_could_be_a_model_of_the_hub_is_said_to_be_one(folder: Path) -> None:
    """As transformers reads it, from the recipe's folder; with ./ there is nothing to say."""
    (folder / "owner").mkdir()
    (folder / "owner" / "name").symlink_to(folder / "tuned1")
    notes = [
        merge_from_file(
            written(folder, f"base: base\nvectors: [{{model: {name}}}]\n"), None, dry_run=True
        ).request.notes
        for name in ("owner/name", "./owner/name")
    ]
    assert notes == [("folders beside the recipe, and not of the hub: owner/name (say so: ./owner/name)",), ()]


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "gpt_oss"])
def test_fine_tunes_of_a_mixture_of_experts_are_merged_as_transformers_loads_them(tmp_path: Path, kind: str) -> None:
    """It puts experts together when it loads; one that was stored so is told how to be compared."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    more = {"num_experts": 3, "moe_intermediate_size": 8} if kind == "qwen2_moe" else {"num_local_experts": 3}
    sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "num_experts_per_tok": 2}
    found = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **heads, **more), dtype=torch.float32)
    found.save_pretrained(tmp_path / "base")
    found.save_pretrained(tmp_path / "together", save_original_format=False)
    start = {name: each.clone() for name, each in found.state_dict().items()}
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    found.save_pretrained(tmp_path / "tuned")
    shutil.copytree(tmp_path / "together", tmp_path / "tuned-together")
    save_file(found.state_dict(), tmp_path / "tuned-together" / "model.safetensors", metadata={"format": "pt"})
    text = "base: {}\nvectors: [{{model: {}, alpha: 0.5}}]\n"
    for base, tuned in (("base", "tuned"), ("together", "tuned-together")):
        merge_from_file(written(tmp_path, text.format(base, tuned)), tmp_path / f"from-{base}")
        merged = load(tmp_path / f"from-{base}").state_dict()
        for name, each in found.state_dict().items():
            torch.testing.assert_close(merged[name], (start[name] + each) / 2)
    if kind != "gpt_oss":  # which stores them together as well
        with pytest.raises(MergeError, match=r"one has each expert by itself: .* with save_original_format=False"):
            merge_from_file(written(tmp_path, text.format("base", "tuned-together")), tmp_path / "out")
