"""Files that others write: every fault is told with its file and its field, and no merge ends in a Python error."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import load, save_adapter, save_fine_tune, untied, weights
from tests.runtime.merging.recipes import written
from traitgraph.cli.main import main
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging import Checkpoint, MergeError, merge_state_dicts
from traitgraph.runtime.vectors.adapters import read_adapter
from traitgraph.runtime.vectors.extraction import build_vector
from traitgraph.runtime.vectors.vectors import load_vector

ODD: tuple[Any, ...] = (None, True, -1, 0, 1.5, "", "x", "[", [], [None], {}, {"[": 1}, {"q_proj": None}, 1e400)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Path:
    return save_adapter(base_folder, tmp_path_factory.mktemp("odd") / "a", seed=1, target_modules=["q_proj"])


def test_every_field_of_an_adapter_may_hold_anything(tmp_path: Path, base_folder: Path, adapter: Path) -> None:
    """Field by field: the adapter is read, or refused with a message."""
    shutil.copytree(adapter, tmp_path / "a")
    file, base = tmp_path / "a" / "adapter_config.json", Checkpoint(base_folder)
    whole = json.loads(file.read_text())
    for field in (*whole, "trainable_token_indices"):
        for value in (*ODD, "absent"):
            config = {name: each for name, each in whole.items() if name != field}
            file.write_text(json.dumps(config if value == "absent" else {**config, field: value}))
            with suppress(MergeError):
                read_adapter(tmp_path / "a", base)
    for text in ("", "[]", "null", "{", '"x"', "[" * 100_000, "\ufeff{}"):
        file.write_text(text)
        with pytest.raises(MergeError, match=r"adapter_config\.json"):
            read_adapter(tmp_path / "a", base)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(MergeError, match=r"adapter_config\.json that cannot be read"):
        read_adapter(tmp_path / "a", base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lora_alpha": None}, "`lora_alpha`: Input should be a valid number"),
        ({"lora_alpha": "absent"}, "`lora_alpha`: Field required"),
        ({"lora_alpha": float("nan")}, "`lora_alpha`: Input should be a finite number"),
        ({"r": -4}, "`r`: Input should be greater than 0"),
        ({"r": 8}, r"rank 8 for 'model\.layers\.0\.self_attn\.q_proj' .* has rank 4"),
        ({"rank_pattern": {"(": 4}}, r"`rank_pattern\.\(\.\[key\]`: .* no regular expression"),
        ({"peft_type": "absent"}, "`peft_type`: Field required"),
        ({"peft_type": "IA3"}, "a IA3 adapter; only LoRA is read"),
        ({"use_dora": True}, "`use_dora` is True, and adapter_model.safetensors has no magnitudes"),
    ],
)
def test_a_fault_of_an_adapter_names_file_and_field(
    tmp_path: Path, base_folder: Path, adapter: Path, change: dict[str, Any], message: str
) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    file = tmp_path / "a" / "adapter_config.json"
    config = {**json.loads(file.read_text()), **change}
    file.write_text(json.dumps({name: value for name, value in config.items() if value != "absent"}))
    with pytest.raises(MergeError, match=rf"adapter_config\.json.*{message}"):
        read_adapter(tmp_path / "a", Checkpoint(base_folder))


@pytest.mark.parametrize("part", ["lora_A", "lora_B"])
def test_half_of_a_change_is_refused_whichever_half_it_is(
    tmp_path: Path, base_folder: Path, adapter: Path, part: str
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, tmp_path / "a")
    stored = load_file(file := tmp_path / "a" / "adapter_model.safetensors")
    lost = next(name for name in stored if part in name)
    save_file({name: tensor for name, tensor in stored.items() if name != lost}, file)
    with pytest.raises(MergeError, match=f"has no partner '{lost}'"):
        read_adapter(tmp_path / "a", Checkpoint(base_folder))


def test_an_adapter_that_replaces_no_row_of_the_embedding_changes_none(
    tmp_path: Path, base_folder: Path, adapter: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, tmp_path / "a")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text()) | {"trainable_token_indices": []}
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config))
    stored = load_file(file := tmp_path / "a" / "adapter_model.safetensors")
    width = Checkpoint(base_folder)["model.embed_tokens.weight"].shape[1]
    stored["base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"] = torch.zeros(0, width)
    save_file(stored, file)
    build_vector(tmp_path / "a", Checkpoint(base_folder), tmp_path / "vector")
    assert all("q_proj" in name for name in load_vector(tmp_path / "vector").names)


def test_a_fault_of_an_adapter_ends_a_command_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], adapter: Path
) -> None:
    shutil.copytree(adapter, folder / "a")
    (folder / "a" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    recipe = written(folder, "base: base\nvectors: [{adapter: a}]\n")
    assert main(["merge", str(recipe), "-o", str(folder / "out")]) == 2
    assert "adapter_config.json: `lora_alpha`: Field required" in capsys.readouterr().err


def test_every_odd_index_is_refused_with_its_name(tmp_path: Path, base_folder: Path) -> None:
    load(base_folder).save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    index = tmp_path / "sharded" / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    values: list[object] = [None, 1, "", "..", "a/b", [], {}]
    odd: list[object] = [
        {},
        [],
        None,
        "x",
        {"weight_map": {}},
        {"weight_map": None},
        {"weight_map": [1]},
        {"weight_map": "x"},
    ]
    odd += [{**whole, "weight_map": {**whole["weight_map"], "w": value}} for value in values]
    for each in odd:
        index.write_text(json.dumps(each))
        with pytest.raises(MergeError, match=str(tmp_path / "sharded")):
            Checkpoint(tmp_path / "sharded")


def test_every_odd_header_of_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    odd: list[Any] = [[], None, "x", {"w": None}, {"w": {}}, {"w": {**entry, "shape": None}}]
    odd += [{"w": {**entry, "data_offsets": each}} for each in (None, [0], [0, 4], [-8, 0], [8, 0], ["a", "b"])]
    odd += [{"w": {**entry, "shape": each}} for each in ([-2], [3], ["x"], [1.5])]
    for each in odd:
        text = json.dumps(each).encode()
        (tmp_path / "m.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
        with pytest.raises(MergeError, match=r"m\.safetensors"):
            Checkpoint(tmp_path / "m.safetensors")


def test_an_empty_tensor_is_copied_by_every_method(tmp_path: Path, base_folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    for name, source in (("base", base_folder), ("tuned", save_fine_tune(base_folder, tmp_path / "t", seed=1))):
        shutil.copytree(source, tmp_path / name)
        file = tmp_path / name / "model.safetensors"
        extra = {"extra.weight": torch.zeros(0, 4), "model.layers.0.none": torch.zeros(4, 0)}
        save_file(load_file(file) | extra, file, metadata={"format": "pt"})
    for method in ("task_arithmetic", "ties", "dare", "della", "breadcrumbs", "slerp"):
        out = tmp_path / method
        merge_from_file(
            written(tmp_path, f"base: base\nmethod: {method}\nvectors: [{{model: tuned, alpha: 0.5}}]\n"), out
        )
        found = load_file(out / "model.safetensors")
        assert [tuple(found[name].shape) for name in extra] == [(0, 4), (4, 0)]
        base, tuned = ({"w": torch.ones(3), "e": each} for each in (torch.zeros(0, 4), torch.zeros(0, 4)))
        assert merge_state_dicts(base, [tuned], method=method, weights=[1])["e"].shape == (0, 4)


def test_an_adapter_without_any_tensor_is_refused(tmp_path: Path, base_folder: Path, adapter: Path) -> None:
    from safetensors.torch import save_file

    shutil.copytree(adapter, tmp_path / "a")
    save_file({}, tmp_path / "a" / "adapter_model.safetensors")
    with pytest.raises(MergeError, match="holds no tensors"):
        read_adapter(tmp_path / "a", Checkpoint(base_folder))


def test_tables_that_an_adapter_stores_follow_a_tied_base_where_they_are_one(tmp_path: Path, base_folder: Path) -> None:
    """peft stores embedding and head of a resized model, also where they are tied: one table, changed as a whole."""
    from peft import LoraConfig, get_peft_model

    model = load(base_folder)
    rows = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(rows + 3, mean_resizing=False)
    model.get_input_embeddings().weight.data[:rows] += 0.1
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"]))
    tuned.save_pretrained(tmp_path / "a", save_embedding_layers=True)
    (tmp_path / "base").symlink_to(base_folder)
    text = "base: base\nvocabulary: common\nvectors: [{adapter: a}]\n"
    merge_from_file(written(tmp_path, text), tmp_path / "out")
    before, found = (weights(load(each))["model.embed_tokens.weight"] for each in (base_folder, tmp_path / "out"))
    assert (found - before - 0.1).abs().max() < 1e-6
    assert load(tmp_path / "out").config.tie_word_embeddings


@pytest.mark.parametrize("stored", [False, True], ids=["saved module", "all of peft's copies"])
def test_embeddings_that_an_adapter_resized_follow_the_policy_for_vocabularies(
    folder: Path, base_folder: Path, stored: bool
) -> None:
    """As those of models: refused with the option's name, changed in the rows that both have, or left."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = load(base_folder)
    rows = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(rows + 3, mean_resizing=False)
    model.config.tie_word_embeddings = False
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"]))
    saved = tuned.base_model.model.model.embed_tokens.modules_to_save["default"].weight
    saved.data.add_(torch.randn(saved.shape) * 0.1)
    tuned.save_pretrained(folder / "resized", save_embedding_layers=stored)
    untied(base_folder, folder / "apart")
    text = "base: apart\nvocabulary: {}\nvectors: [{{adapter: resized}}]\n"
    with pytest.raises(MergeError, match="vocabulary: common"):
        merge_from_file(written(folder, text.format("refuse")), folder / "refused")
    before = weights(load(folder / "apart"))["model.embed_tokens.weight"]
    for policy, wanted in (("common", saved.data[:rows]), ("base", before)):
        merge_from_file(written(folder, text.format(policy)), folder / f"by-{policy}")
        found = weights(load(folder / f"by-{policy}"))["model.embed_tokens.weight"]
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_a_dora_adapter_beside_another_change_is_warned_of(folder: Path) -> None:
    save_adapter(folder / "base", folder / "dora", seed=1, target_modules=["q_proj"], use_dora=True)
    alone = merge_from_file(written(folder, "base: base\nvectors: [{adapter: dora}]\n"), folder / "one")
    beside = "base: base\nvectors: [{model: tuned1}, {adapter: dora}]\n"
    both = merge_from_file(written(folder, beside), folder / "two")
    assert not alone.warnings
    assert "dora: a DoRA adapter, which is not linear" in both.warnings[0]


def test_a_map_of_names_is_undone_before_differences_are_taken(folder: Path) -> None:
    """A fine-tune and an adapter under other names than the base: the map that the message asks for helps."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder / "base", folder / "renamed")
    file = folder / "renamed" / "model.safetensors"
    save_file({name.removeprefix("model."): each for name, each in load_file(file).items()}, file)
    for source, wanted in (("model: tuned1", "tuned1"), ("adapter: lora", "lora")):
        plain = written(folder, f"base: renamed\nvectors: [{{{source}}}]\n")
        with pytest.raises(MergeError, match=r"names: \{'model\.': ''\}"):
            merge_from_file(plain, folder / "out")
        mapped = written(folder, f"base: renamed\nnames: {{'model.': ''}}\nvectors: [{{{source}}}]\n")
        merge_from_file(mapped, folder / f"by-{wanted}")
        merge_from_file(written(folder, f"base: base\nvectors: [{{{source}}}]\n"), folder / f"plain-{wanted}")
        found, expected = (load_file(folder / f"{how}-{wanted}" / "model.safetensors") for how in ("by", "plain"))
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name.removeprefix("model.")], tensor, atol=1e-6, rtol=0)
