"""Merge files, and models that they name, that cannot be merged: what is said, and that nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.merging.recipes import MODELS, request_of, written
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging import MergeError
from traitgraph.specs.source.diagnostics import SpecError, in_order, render_text

FAULTS: dict[str, tuple[str, list[str]]] = {
    "ours": (
        "base: base\nmehtod: ties\nvectors:\n  - {model: tuned1, alpha: high}\n  - {alpha: 1}\nvocabulary: union\n",
        [
            "recipe.yaml:2:1",
            "unknown key 'mehtod'",
            "near: method",
            "'high' is not a number",
            "give exactly one of `model`",
        ],
    ),
    "rank of weights": (
        "base: base\nrank: 4\nvectors: [{adapter: lora}]\n",
        ["`rank` is for `write: adapter`; weights have none"],
    ),
    "number format of an adapter": (
        "base: base\nwrite: adapter\ndtype: bfloat16\nvectors: [{adapter: lora}]\n",
        ["`dtype` is for `write: weights`; adapters are written in float32"],
    ),
    "their method": (
        MODELS + "merge_method: model_stock\n",
        ["'model_stock' is not read here", "read are: task_arithmetic"],
    ),
    "several": (
        MODELS + "merge_method: ties\ntokenizer_source: union\nchat_template: chatml\nparameters: {densty: 0.3}\n",
        ["only the base's tokenizer", "chat templates are not replaced", "unknown parameter 'densty'", "near: density"],
    ),
    "density out of range": (
        "base_model: base\nmerge_method: ties\nmodels: [{model: tuned1, parameters: {weight: 1, density: [1, 5]}}]\n",
        ["recipe.yaml:3:59", "a density is a share: it lies between 0 and 1"],
    ),
    "missing weight": (
        "base_model: base\nmerge_method: ties\nmodels: [{model: tuned1}]\n",
        ["the parameter `weight` is missing"],
    ),
    "cut layers": (
        "base_model: base\nmerge_method: ties\nslices: [{sources: [{model: tuned1, layer_range: [0, 1]}]}]\n",
        ["not the whole model, [0, 2]"],
    ),
    "factor that is no number": (
        MODELS + "merge_method: ties\nparameters: {lambda: half}\n",
        ["recipe.yaml:10:22", "`lambda` is one number, for all models"],
    ),
    "half a range of layers": (
        "base_model: base\nmerge_method: ties\nslices: [{sources: [{model: tuned1, layer_range: [0]}]}]\n",
        ["recipe.yaml:3:50", "the list has 1 elements, at least 2 are needed"],
    ),
    "no base": (
        "merge_method: ties\nmodels: [{model: tuned1, parameters: {weight: 1}}]\n",
        ["`base_model` is missing: ties works on differences"],
    ),
    "normalize by filter": (
        MODELS + "merge_method: ties\nparameters: {normalize: [{filter: mlp, value: true}, {value: false}]}\n",
        ["recipe.yaml:10:25", "`normalize` is one truth value here, for all tensors"],
    ),
    "normalize by layer": (
        MODELS + "merge_method: ties\nparameters: {normalize: [0, 1]}\n",
        ["recipe.yaml:10:25", "`normalize` is one truth value here, for all tensors"],
    ),
    "rescale that is no truth value": (
        MODELS + "merge_method: dare_linear\nparameters: {rescale: sometimes}\n",
        ["recipe.yaml:10:23", "`rescale` is one truth value here"],
    ),
    "epsilon that differs": (
        "base_model: base\nmerge_method: della\nmodels:\n"
        "  - {model: tuned1, parameters: {weight: 1, density: 0.5, epsilon: 0.1}}\n"
        "  - {model: tuned2, parameters: {weight: 1, density: 0.5}}\n",
        ["recipe.yaml:4:68", "`epsilon` differs between models (0.15 where it is absent)"],
    ),
    "slerp of three": (
        "models: [{model: tuned1}, {model: tuned2}]\nmerge_method: slerp\nbase_model: base\nparameters: {t: 0.1}\n",
        ["recipe.yaml:1:9", "slerp goes from the base model to one other, and 2 are given"],
    ),
    "t of one model": (
        "models: [{model: tuned1, parameters: {t: 0.1}}]\nmerge_method: slerp\nbase_model: base\n",
        ["recipe.yaml:1:42", "`t` is for the whole merge"],
    ),
    "what the method does not use": (
        "models:\n  - {model: base, parameters: {weight: 1}}\n"
        "  - {model: tuned1, parameters: {weight: 1, density: 0.5, lambda: 2}}\n"
        "merge_method: task_arithmetic\nbase_model: base\nparameters: {gamma: 0.1, t: 1}\n",
        [
            "recipe.yaml:2:40",
            "mergekit does not use `weight` of the base model",
            "recipe.yaml:3:54",
            "task_arithmetic does not use `density`",
            "recipe.yaml:3:67",
            "`lambda` is for the whole merge",
            "recipe.yaml:6:21",
            "task_arithmetic does not use `gamma`",
            "task_arithmetic does not use `t`",
        ],
    ),
    "a base with an adapter": (
        "models: [{model: tuned1, parameters: {weight: 1}}]\nmerge_method: ties\nbase_model: base+lora\n",
        ["recipe.yaml:3:13", "an adapter on the base is not read"],
    ),
    "a base beside the models of a mean": (
        "models: [{model: tuned1, parameters: {weight: 1}}]\nmerge_method: linear\nbase_model: base\n",
        ["recipe.yaml:3:13", "mergekit takes the base model into the mean as well"],
    ),
    "a model twice": (
        "models: [{model: tuned1, parameters: {weight: 1}}, {model: tuned1, parameters: {weight: 1}}]\n"
        "merge_method: ties\nbase_model: base\n",
        ["recipe.yaml:1:60", "'tuned1' stands twice"],
    ),
    "models and slices": (
        MODELS + "merge_method: ties\nslices: [{sources: [{model: tuned1, layer_range: [0, 2]}]}]\n",
        ["`models` and `slices` exclude each other"],
    ),
    "layers cut under models": (
        "models: [{model: tuned1, layer_range: [0, 1], parameters: {weight: 1}}]\n"
        "merge_method: ties\nbase_model: base\n",
        ["recipe.yaml:1:39", "not the whole model, [0, 2]"],
    ),
    "a misspelt filter": (
        "models: [{model: tuned1, parameters: {weight: [{filtre: mlp, value: 1}, {value: 0}]}}]\n"
        "merge_method: ties\nbase_model: base\n",
        ["unknown key `filtre` beside `filter` and `value`"],
    ),
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_every_fault_of_a_file_is_told_with_its_place(folder: Path, case: tuple[str, list[str]]) -> None:
    text, messages = case
    with pytest.raises(SpecError) as caught:
        merge_from_file(written(folder, text), folder / "out")
    shown = render_text(caught.value.diagnostics)
    assert all(message in shown for message in messages), shown
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("base: base\nvectors:\n  - {modl: tuned1}\n", ["3:6 unknown key 'modl'"]),
        ("base: base\nvectors: [{model: tuned1, alpha: high}]\n", ["2:34 'high' is not a number"]),
        (
            "base: base\nmethod: {kind: tie, density: 3}\n"
            "vectors: [{model: tuned1, alpha: [a, b]}, {of: base, modle: x}]\n",
            [
                "2:16 unknown merge method 'tie'",
                "3:35 'a' is not a number",
                "3:38 'b' is not a number",
                "3:54 unknown key 'modle'",
            ],
        ),
        ("base_model: base\nmerge_method: ties\nmodels: [{modl: tuned1}]\n", ["3:11 unknown key 'modl'"]),
    ],
)
def test_what_only_follows_from_a_fault_is_not_told(folder: Path, text: str, faults: list[str]) -> None:
    """A list is not too short because its elements are faulty, and a misspelt key is not missing as well."""
    with pytest.raises(SpecError) as caught:
        request_of(folder, text)
    told = in_order(caught.value.diagnostics)
    assert [f"{each.span.line}:{each.span.column} {each.message}" for each in told if each.span] == faults
    assert len(told) == len(faults)


def test_a_method_that_is_not_read_is_told_once(folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        request_of(folder, "models: [{model: tuned1}]\nmerge_method: passthrough\n")
    (fault,) = caught.value.diagnostics
    assert fault.message == "merge method 'passthrough' is not read here"


@pytest.mark.parametrize("method", ["ties", "della", "breadcrumbs"])
def test_a_base_alone_is_nothing_to_merge(folder: Path, method: str) -> None:
    text = f"models: [{{model: base}}]\nmerge_method: {method}\nbase_model: base\n"
    with pytest.raises(MergeError, match="there is nothing to merge"):
        merge_from_file(written(folder, text), folder / "out")


def test_a_misspelt_preset_is_told_with_the_nearest(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"no file or folder 'smollm-135m'(.|\n)*near: smollm2-135m"):
        merge_from_file(written(folder, "base: smollm-135m\nvectors: [{model: tuned1}]\n"), folder / "out")


def test_a_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"no file or folder '\./nowhere'"):
        merge_from_file(written(folder, "base: base\nvectors: [{model: ./nowhere}]\n"), folder / "out")


def damaged(folder: Path, change: Any) -> None:
    """A checkpoint `damaged` like tuned1, with its tensors changed."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "tuned1" / "model.safetensors")
    change(tensors)
    (folder / "damaged").mkdir()
    save_file(tensors, folder / "damaged" / "model.safetensors", metadata={"format": "pt"})


METHODS = ["task_arithmetic", "ties", "{kind: ties, scope: tensor}", "breadcrumbs", "dare", "della"]


QUERY = "model.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_told_with_their_tensor(folder: Path, method: str, value: float) -> None:
    damaged(folder, lambda tensors: tensors[QUERY].view(-1)[5:6].fill_(value))
    text = f"base: base\nmethod: {method}\nvectors: [{{model: damaged, alpha: 0.5}}]\n"
    with pytest.raises(MergeError, match=rf"'{QUERY}' would hold NaN or infinity: an input does; train it again"):
        merge_from_file(written(folder, text), folder / "out")
    assert not list(folder.glob("*out*"))


@pytest.mark.parametrize("policy", ["refuse", "common", "base"])
def test_only_embeddings_and_heads_may_differ_in_their_rows(folder: Path, policy: str) -> None:
    damaged(folder, lambda tensors: tensors.__setitem__(QUERY, tensors[QUERY][:16].clone()))
    text = f"base: base\nvocabulary: {policy}\nvectors: [{{model: damaged}}]\n"
    with pytest.raises(MergeError, match=rf"'{QUERY}' has shape .* it belongs to another base"):
        merge_from_file(written(folder, text), folder / "out")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("adapter: tuned1", r"(?s)TG216.*'tuned1' is no LoRA adapter.*yaml:2:.*name a checkpoint under `model`"),
        ("model: lora", r"(?s)TG216.*'lora' is a LoRA adapter and no model.*yaml:2:.*names it under `adapter`"),
    ],
)
def test_adapters_and_checkpoints_are_not_taken_for_each_other(folder: Path, source: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        merge_from_file(written(folder, f"base: base\nvectors: [{{{source}}}]\n"), folder / "out")


def quantised(folder: Path) -> None:
    """tuned1 as GPTQ stores a matrix: packed integers under other names, with the method in the configuration."""
    import torch

    def pack(tensors: dict[str, Any]) -> None:
        del tensors[QUERY]
        tensors[QUERY.replace("weight", "qweight")] = torch.zeros(4, 32, dtype=torch.int32)

    damaged(folder, pack)
    config = json.loads((folder / "tuned1" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "damaged" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "text",
    [
        "base: base\nvectors: [{model: damaged}]\n",
        "base: damaged\nvectors: [{model: tuned1}]\n",
        "base: damaged\nvectors: [{adapter: lora}]\n",
        "base: damaged\nvectors: [{model: tuned1, of: base}]\n",
    ],
)
def test_quantised_models_are_refused_by_the_name_of_their_method(folder: Path, text: str) -> None:
    quantised(folder)
    with pytest.raises(MergeError, match=r"damaged is quantised by gptq \(quantization_config in its config.json\)"):
        merge_from_file(written(folder, text), folder / "out")


def test_scales_of_two_quantised_models_are_no_difference(folder: Path) -> None:
    """Where every packed integer is equal, and the scales, which are floats, would be all that is subtracted."""
    quantised(folder)
    shutil.copytree(folder / "damaged", folder / "other")
    with pytest.raises(MergeError, match="is quantised by gptq"):
        merge_from_file(written(folder, "base: damaged\nvectors: [{model: other}]\n"), folder / "out")


def test_float8_of_both_checkpoints_is_copied_where_it_is_equal(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    for name, value in (("base8", 1.0), ("same8", 1.0), ("other8", 2.0)):
        (folder / name).mkdir()
        tensors = {"w": torch.full((2,), value), "q": torch.full((2,), value).to(torch.float8_e4m3fn)}
        save_file(tensors, folder / name / "model.safetensors", metadata={"format": "pt"})
    merge_from_file(written(folder, "base: base8\nvectors: [{model: same8}]\n"), folder / "out")
    assert load_file(folder / "out" / "model.safetensors")["q"].float().tolist() == [1.0, 1.0]
    with pytest.raises(MergeError, match="'q' is float8_e4m3fn and differs"):
        merge_from_file(written(folder, "base: base8\nvectors: [{model: other8}]\n"), folder / "no")


SNAPSHOT = "models--Owner--Base-8B/snapshots/0123abc"


@pytest.mark.parametrize(
    ("base", "told", "kind"),
    [
        (SNAPSHOT, "Owner/Base-7B", "warning"),
        (SNAPSHOT, "/home/me/hub/models--Owner--Base-7B/snapshots/0123", "warning"),
        (SNAPSHOT, "owner/base-8b", None),
        (SNAPSHOT, "/home/me/models/base-7b", None),
        (SNAPSHOT, "", None),
        ("base", "Owner/Base-8B", "note"),
        ("base", "Owner/Base", None),
        ("base", "/home/me/models/base-7b", None),
    ],
)
def test_an_adapter_whose_config_names_another_base_is_doubted(
    folder: Path, base: str, told: str, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path proves nothing, and a folder that is not the hub's has no name of its own."""
    if base == SNAPSHOT:
        (folder / base).parent.mkdir(parents=True)
        (folder / base).symlink_to((folder / "base").resolve())
    config = folder / "lora" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": told}))
    if told.count("/") == 1:
        (folder / told).mkdir(parents=True)  # a hub id is the hub's, also where a folder has its name
    monkeypatch.chdir(folder)
    report = merge_from_file(written(folder, f"base: {base}\nvectors: [{{adapter: lora}}]\n"), folder / "out")
    texts = [*report.warnings, *report.request.notes]
    assert [bool(report.warnings), bool(report.request.notes)] == [kind == "warning", kind == "note"]
    assert all("lora: its config says that it was trained on '" in text for text in texts)
    assert all(text in (folder / "out" / "recipe.json").read_text() for text in texts)


def test_a_map_of_names_that_no_tensor_has_is_refused(folder: Path) -> None:
    text = "base: base\nnames: {model.: model., foo: bar}\nvectors: [{model: tuned1}]\n"
    for dry in (True, False):
        with pytest.raises(MergeError, match=r"names: no tensor of the vectors starts with 'foo'; there is 'model\."):
            merge_from_file(written(folder, text), folder / "out", dry_run=dry)
