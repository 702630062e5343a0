"""A folder that no model can be loaded from is refused where it is named, by names and JSON alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_model import model_like, tiny_llama
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.tensors.checkpoint import Checkpoint
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.folders import model_folder
from traitgraph.specs.folders.model_folder import (
    INDEX,
    ModelFolderError,
    check_adapter,
    check_model,
    read_config,
    weight_files,
)
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.models import HubModelSpec

VECTORS = """\
study: s
model: {model}
method: vector
traits: openness
data: a/rows
train: {{method: sft, learning_rate: 1e-4, steps: 1}}
alpha: 1
benchmarks: mini-ipip
onto: {{model: {onto}, alpha: 1}}
"""


def emptied(folder: Path, *names: str, **written: object) -> None:
    """Without some files, and with others of this JSON (a `-` in their names is `.`)."""
    for name in names:
        (folder / name).unlink()
    for name, value in written.items():
        (folder / name.replace("__", ".")).write_text(json.dumps(value))


FAULTS: dict[str, tuple[tuple[str, ...], dict[str, object], str]] = {
    "empty": (("config.json", "model.safetensors", "tokenizer.json"), {}, "is empty"),
    "no configuration": (("config.json",), {}, "has no config.json"),
    "no weights": (("model.safetensors",), {}, "has no model.safetensors"),
    "no tokenizer": (("tokenizer.json",), {"tokenizer_config__json": {}}, "has no tokenizer"),
    "pickles": (("model.safetensors",), {"pytorch_model__bin": 0}, r"has pickled weights \(pytorch_model.bin\)"),
    "no index": (("model.safetensors",), {"model-00001-of-00002__safetensors": 0}, "holds shards .* and no model.safe"),
    "a lost shard": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {"weight_map": {"w": "model-1.safetensors"}}},
        "lacks shards that model.safetensors.index.json names: model-1.safetensors",
    ),
    "an index of nothing": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {}},
        "has a model.safetensors.index.json without a `weight_map`",
    ),
    "out of the folder": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {"weight_map": {"w": "../m.safetensors"}}},
        "names a file outside the folder",
    ),
    "an absolute path": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {"weight_map": {"w": "/m.safetensors"}}},
        "names a file outside the folder",
    ),
    "out of a folder inside": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {"weight_map": {"w": "part/../../m.safetensors"}}},
        "names a file outside the folder",
    ),
    "a hidden shard": (
        ("model.safetensors",),
        {"model__safetensors__index__json": {"weight_map": {"w": ".part/m.safetensors"}}},
        "names a file outside the folder",
    ),
    "quantised": (
        (),
        {"config__json": {"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}},
        "is quantised by gptq .*, and optimum and gptqmodel, with which transformers loads it, is not installed",
    ),
    "an adapter": (
        ("config.json", "model.safetensors"),
        {"adapter_config__json": {}},
        "is a LoRA adapter and no model",
    ),
    "both": ((), {"adapter_config__json": {}}, "holds adapter_config.json beside the model"),
    "own code": (
        (),
        {"config__json": {"model_type": "mine", "auto_map": {"AutoConfig": "a.B"}}},
        r"needs the Python files that come with it .*\n(.*\n)*.*trust_remote_code: true",
    ),
    "no architecture": ((), {"config__json": {}}, "has a config.json without `model_type`"),
    "an unknown architecture": ((), {"config__json": {"model_type": "nope"}}, "is of an architecture that .* 'nope'"),
    "no writer of texts": (
        (),
        {"config__json": {"model_type": "clip"}},
        "is a clip model, which transformers does not",
    ),
    "cut weights": ((), {"model__safetensors": 0}, "has a model.safetensors that is cut off, or a pointer of git-lfs"),
    "a cut tokenizer": ((), {"tokenizer__json": 0}, "has a tokenizer.json that is cut off"),
    "a broken configuration": ((), {"config__json": []}, "has a config.json that cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_no_model_is_refused_at_its_line(tmp_path: Path, fault: str) -> None:
    names, written, message = FAULTS[fault]
    emptied(model_like(tmp_path / "model"), *names, **written)
    spec = tmp_path / "study.yaml"
    spec.write_text(VECTORS.format(model="./model", onto="a/b"))
    with pytest.raises(SpecError, match=rf"error\[TG216\]: './model' {message}") as refused:
        load_study(spec)
    assert "study.yaml:2:8" in str(refused.value)


def test_what_vectors_are_carried_onto_needs_no_tokenizer_and_may_be_no_adapter(tmp_path: Path) -> None:
    folder = model_like(tmp_path / "tuned")
    emptied(folder, "tokenizer.json")
    spec = tmp_path / "study.yaml"
    spec.write_text(VECTORS.format(model="a/b", onto="./tuned"))
    assert load_study(spec).resolved_arms()[0].onto is not None
    emptied(folder, "model.safetensors", "config.json", adapter_config__json={})
    with pytest.raises(SpecError, match=r"'./tuned' is a LoRA adapter and no model\n.*study.yaml:9:"):
        load_study(spec)


def test_code_that_transformers_need_not_run_is_no_fault(tmp_path: Path) -> None:
    """Many published models bring Python files that the library has meanwhile taken over."""
    folder = model_like(tmp_path / "model")
    emptied(folder, config__json={"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "m.M"}})
    check_model(folder)
    emptied(folder, config__json={"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "m.M"}})
    check_model(folder, trusted=True)
    emptied(folder, config__json={"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "o/m--m.M"}})
    with pytest.raises(ModelFolderError, match="another repository"):
        check_model(folder, trusted=True)


def test_one_whole_file_goes_before_an_index_as_in_transformers(tmp_path: Path) -> None:
    folder = model_like(tmp_path / "model")
    (folder / INDEX).write_text(json.dumps({"weight_map": {"w": "gone.safetensors"}}))
    assert weight_files(folder) == ((folder / "model.safetensors",), ())
    (folder / "own.safetensors").touch()
    (folder / "config.json").write_text(json.dumps({"transformers_weights": "own.safetensors"}))
    assert weight_files(folder) == ((folder / "own.safetensors",), ())


def test_shards_in_a_folder_inside_are_loaded_merged_and_keyed_as_transformers_does(tmp_path: Path) -> None:
    """Every reader takes the same files; a folder that is a link is in no digest, and refused."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "model"
    whole = tiny_llama(300)
    whole.save_pretrained(folder, max_shard_size="20KB")
    (folder / "part").mkdir()
    index = json.loads((folder / INDEX).read_text())
    for shard in sorted(set(index["weight_map"].values()))[1:]:
        (folder / shard).rename(folder / "part" / shard)
        index["weight_map"] = {key: f"part/{at}" if at == shard else at for key, at in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))
    check_model(folder, needs_tokenizer=False)
    loaded, merged = AutoModelForCausalLM.from_pretrained(folder).state_dict(), Checkpoint(folder)
    assert all(torch.equal(loaded[name], merged.read(name)) for name in merged)
    assert {file.relative_to(folder).as_posix() for file in merged.files} == set(index["weight_map"].values())

    tiny_llama(300, seed=1).save_pretrained(tmp_path / "tuned")
    (folder / INDEX).rename(folder / f"own.{INDEX}")
    (folder / "config.json").write_text(json.dumps({**read_config(folder), "transformers_weights": f"own.{INDEX}"}))
    (tmp_path / "merge.yaml").write_text("base: model\nvectors: [{model: tuned}]\n")
    merge_from_file(tmp_path / "merge.yaml", tmp_path / "out")
    tuned, written = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("tuned", "out"))
    assert all(torch.allclose(tuned[name], written[name]) for name in tuned)
    (folder / f"own.{INDEX}").rename(folder / INDEX)
    (folder / "config.json").write_text((tmp_path / "tuned" / "config.json").read_text())

    before, file = digest_path(folder), merged.files[-1]
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert digest_path(folder) != before
    (folder / "part").rename(tmp_path / "elsewhere")
    (folder / "part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelFolderError, match="names a file outside the folder: part/"):
        weight_files(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"w": next(iter(index["weight_map"].values()))}}))
    with pytest.raises(ModelFolderError, match="without `metadata`, which transformers does not load"):
        weight_files(folder)


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "mxfp4"])
def test_a_quantised_model_is_asked_and_neither_trained_nor_merged(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_like(tmp_path / "model")
    emptied(folder, config__json={"model_type": "llama", "quantization_config": {"quant_method": method}})
    monkeypatch.setattr(model_folder, "READ_BY", {})  # as if their packages were installed
    spec = tmp_path / "study.yaml"
    spec.write_text("study: s\nmodel: ./model\nmethod: direct\nbenchmarks: mini-ipip\n")
    load_study(spec)
    for model, onto, line in (("./model", "a/b", 2), ("a/b", "./model", 9)):
        spec.write_text(VECTORS.format(model=model, onto=onto))
        if method == "mxfp4":
            load_study(spec)
            continue
        with pytest.raises(
            SpecError, match=rf"error\[TG220\]: 'model' is quantised by {method}: it can be asked"
        ) as told:
            load_study(spec)
        assert f"study.yaml:{line}:" in str(told.value)
        assert "give the model in float32" in str(told.value)


def test_an_adapter_is_the_folder_that_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "trained" / "adapter"
    inner.mkdir(parents=True)
    (inner / "adapter_config.json").touch()
    with pytest.raises(ModelFolderError, match=r"has no adapter_model.safetensors"):
        check_adapter(inner)
    (inner / "adapter_model.safetensors").touch()
    check_adapter(inner)
    with pytest.raises(ModelFolderError, match=r"is no LoRA adapter .*the very folder that holds it"):
        check_adapter(tmp_path / "trained")


def test_what_lies_in_the_cache_of_the_hub_is_found_where_its_library_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = tmp_path / "huggingface" / "hub" / "models--o--m"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0a" * 20)
    (model / "snapshots" / ("0a" * 20)).mkdir(parents=True)
    (model / "snapshots" / ("0a" * 20) / "config.json").write_text('{"num_experts": 4}')
    assert HubModelSpec(id="o/m").config() == {"num_experts": 4}
    assert HubModelSpec(id="o/m", revision="0a" * 20).config() == {"num_experts": 4}
    assert HubModelSpec(id="o/m", revision="a" * 300).config() == {}
