"""An adapter that is read, of any kind that is read, is what peft's own merge_and_unload makes of it, in the logits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.bench import Bench, save_adapter, untied
from tests.runtime.merging.recipes import written
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging.materialize import materialize
from traitgraph.runtime.models.loading import load_model
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.runtime.vectors.adapters import _CONV1D, CONV1D_MODELS

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # peft's own, of what it corrects and what it saves
CLOSE = 1e-4
GPT2: dict[str, dict[str, Any]] = {
    "LoRA on square and oblong weights": {"target_modules": ["c_attn", "c_proj", "c_fc"]},
    "LoRA beside a head": {"target_modules": ["attn.c_proj", "lm_head"]},
    "DoRA on a square weight": {"target_modules": ["attn.c_proj"], "use_dora": True},
    "DoRA on oblong weights": {"target_modules": ["c_attn", "mlp.c_proj"], "use_dora": True},
    "DoRA on an embedding": {"target_modules": ["wte"], "use_dora": True},
    "biases of the path": {"target_modules": ["c_attn"], "lora_bias": True},
    "trained biases": {"target_modules": ["c_attn"], "bias": "all"},
}
LLAMA: dict[str, dict[str, Any]] = {
    "rank-stabilised": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.up_proj": 6}, "alpha_pattern": {"down_proj": 3}},
    "patterns, rank-stabilised": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}, "use_rslora": True},
    "saved modules": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "model.norm"]},
    "DoRA": {"use_dora": True},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "rows of the embedding": {"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [3, 17, 40]}},
}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that keeps most of its weights as [inputs, outputs]."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2") / "base"
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, tie_word_embeddings=False)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    for parameter in model.parameters():
        parameter.data.copy_(torch.randn(parameter.shape) * 0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Path:
    folder = untied(base_folder, tmp_path_factory.mktemp("llama") / "base")
    for file in base_folder.glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def logits(model: Any) -> torch.Tensor:
    import torch

    with torch.no_grad():
        found: torch.Tensor = model(torch.arange(20)[None] + 10).logits
    return found


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()


def by_peft(base: Path, adapter: Path) -> torch.Tensor:
    from peft import PeftModel

    return logits(PeftModel.from_pretrained(loaded(base), adapter).merge_and_unload())


def check(base: Path, folder: Path, wanted: torch.Tensor) -> None:
    """The adapter `folder/adapter`, added to the base on disk by a recipe."""
    import torch

    folder.joinpath("base").symlink_to(base)
    merge_from_file(written(folder, "base: base\nvectors: [{adapter: adapter}]\n"), folder / "out")
    torch.testing.assert_close(logits(loaded(folder / "out")), wanted, atol=CLOSE, rtol=0)
    assert (wanted - logits(loaded(base))).abs().max() > 10 * CLOSE


@pytest.mark.parametrize("options", GPT2.values(), ids=GPT2)
def test_an_adapter_of_transposed_weights_is_what_peft_makes_of_it(
    tmp_path: Path, gpt2: Path, options: dict[str, Any]
) -> None:
    adapter = save_adapter(gpt2, tmp_path / "adapter", seed=3, **options)
    check(gpt2, tmp_path, by_peft(gpt2, adapter))


@pytest.mark.parametrize("flag", [True, False, None])
def test_the_orientation_is_the_bases_whatever_the_flag_of_the_adapter_says(
    tmp_path: Path, gpt2: Path, llama: Path, flag: bool | None
) -> None:
    for base, targets in ((gpt2, ["attn.c_proj"]), (llama, ["q_proj", "o_proj"])):
        (folder := tmp_path / base.parent.name).mkdir()
        adapter = save_adapter(base, folder / "adapter", seed=3, target_modules=targets)
        wanted = by_peft(base, adapter)
        config = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps({**config, "fan_in_fan_out": flag}))
        check(base, folder, wanted)


@pytest.mark.parametrize("options", LLAMA.values(), ids=LLAMA)
def test_an_adapter_is_what_peft_makes_of_it(tmp_path: Path, llama: Path, options: dict[str, Any]) -> None:
    adapter = save_adapter(llama, tmp_path / "adapter", seed=3, **options)
    check(llama, tmp_path, by_peft(llama, adapter))


@pytest.mark.parametrize("options", [GPT2["LoRA on square and oblong weights"], GPT2["DoRA on oblong weights"]])
def test_a_vector_of_transposed_weights_is_that_in_place_too(
    tmp_path: Path, bench: Bench, gpt2: Path, base_folder: Path, options: dict[str, Any]
) -> None:
    """Through the jobs of a study: vector, merge, and the loaded base changed in place."""
    import torch

    base = tmp_path / "base"
    base.mkdir()
    for file in (*gpt2.iterdir(), *base_folder.glob("*token*")):
        (base / file.name).write_bytes(file.read_bytes())
    adapter = save_adapter(base, tmp_path / "adapter", seed=3, **options)
    merge = bench.merge(base, [bench.vector(base, "adapter", adapter)], ["1"])
    context = bench.context("assess", bench.assess_params(base), merge=(merge,))
    model = load_model(context, bench.ref(base))
    with subject(context, model, bench.assess_params(base)):
        torch.testing.assert_close(logits(model.model), by_peft(base, adapter), atol=CLOSE, rtol=0)


WRAPPED: dict[str, Callable[[str], str]] = {
    "compiled": lambda key: key.replace("base_model.model.", "base_model.model._orig_mod."),
    "compiled blocks": lambda key: key.replace(".self_attn.", "._orig_mod.self_attn."),
    "sharded": lambda key: key.replace("model.layers.", "model._fsdp_wrapped_module.layers.").replace(
        ".self_attn.", "._fsdp_wrapped_module._checkpoint_wrapped_module.self_attn."
    ),
    "data-parallel": lambda key: f"module.{key}",
}


@pytest.mark.parametrize("rename", WRAPPED.values(), ids=WRAPPED)
def test_what_wrappers_add_to_names_is_taken_off(tmp_path: Path, llama: Path, rename: Callable[[str], str]) -> None:
    from safetensors.torch import load_file, save_file

    adapter = save_adapter(llama, tmp_path / "adapter", seed=3, target_modules=["q_proj"])
    wanted = by_peft(llama, adapter)
    file = adapter / "adapter_model.safetensors"
    save_file({rename(key): tensor for key, tensor in load_file(file).items()}, file)
    check(llama, tmp_path, wanted)


def test_a_convolution_is_what_peft_makes_of_it(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import save_file

    from traitgraph.runtime.tensors.checkpoint import Checkpoint
    from traitgraph.runtime.vectors.adapters import read_adapter
    from traitgraph.runtime.vectors.extraction import build_vector
    from traitgraph.runtime.vectors.vectors import load_vector

    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.ModuleDict({"two": torch.nn.Conv2d(3, 8, 3), "one": torch.nn.Conv1d(4, 6, 5)})

    save_file(dict(network().state_dict()), tmp_path / "base.safetensors")
    base = Checkpoint(tmp_path / "base.safetensors")
    for use_dora in (False, True):
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["two", "one"], use_dora=use_dora)
        model = get_peft_model(network(), config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn(parameter.shape) * 0.1)
        model.save_pretrained(folder := tmp_path / f"dora-{use_dora}")
        wanted = PeftModel.from_pretrained(network(), str(folder)).merge_and_unload().state_dict()
        assert set(read_adapter(folder, base).shifts) == {"two.weight", "one.weight"}
        build_vector(folder, base, tmp_path / f"vector-{use_dora}")
        vector = load_vector(tmp_path / f"vector-{use_dora}")
        for name in vector.names:
            torch.testing.assert_close(base.read(name) + vector.delta(name), wanted[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["gpt2", "openai-gpt", "imagegpt"])
def test_the_weights_that_are_known_as_transposed_are_those_of_transformers_own_conv1d(kind: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(kind))
    turned = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}
    assert kind in CONV1D_MODELS
    assert turned == {name for name, _ in model.named_parameters() if _CONV1D.search(name)}


def test_no_other_model_of_transformers_keeps_transposed_weights() -> None:
    """A new one would be read the wrong way round where its weights are square."""
    import transformers

    users = set()
    for file in (Path(transformers.__file__).parent / "models").glob("*/modeling_*.py"):
        text = file.read_text(encoding="utf-8")
        if re.search(r"pytorch_utils import .*\bConv1D\b", text):
            users.add(file.parent.name)
    assert users == {"gpt2", "openai", "imagegpt", "decision_transformer", "clvp"}


@pytest.mark.parametrize("part", ["model", "adapter"])
def test_a_vector_of_a_model_that_is_renamed_when_it_is_loaded_is_that_in_place_and_on_disk(
    tmp_path: Path, bench: Bench, base_folder: Path, part: str
) -> None:
    """Published vision-language models have other names on disk than in memory, where training saw them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, Gemma3Config

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 64, "num_key_value_heads": 1, "head_dim": 8}
    vision = {**sizes, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=5, boi_token_index=6,
        eoi_token_index=7,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    model.save_pretrained(base := tmp_path / "base")
    for file in base_folder.glob("*token*"):
        (base / file.name).write_bytes(file.read_bytes())
    if part == "model":
        for parameter in model.parameters():
            parameter.data.add_(torch.randn(parameter.shape) * 0.05)
        model.save_pretrained(tuned := tmp_path / "tuned")
    else:
        targets = r".*language_model.*(q|down)_proj"
        tuned = save_adapter(base, tmp_path / "tuned", seed=3, target_modules=targets, task_type=None)
        model = PeftModel.from_pretrained(loaded(base), tuned).merge_and_unload()
    wanted = logits(model.eval())
    merge = bench.merge(base, [bench.vector(base, part, tuned)], ["1"])
    context = bench.context("assess", bench.assess_params(base), merge=(merge,))
    here = load_model(context, bench.ref(base))
    with subject(context, here, bench.assess_params(base)):
        torch.testing.assert_close(logits(here.model), wanted, atol=CLOSE, rtol=0)
    materialize([bench.store.path("merge", merge)], [tmp_path / "out"], base)
    torch.testing.assert_close(logits(loaded(tmp_path / "out")), wanted, atol=CLOSE, rtol=0)
