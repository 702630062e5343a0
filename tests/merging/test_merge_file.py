"""`traitgraph merge RECIPE.yaml`: our own files, and mergekit's where they mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.merging.conftest import Bench, load, same_bits, save_adapter, save_fine_tune, weights
from traitgraph.cli.main import main
from traitgraph.runtime.merging import MergeError, merge_state_dicts
from traitgraph.runtime.merging.from_file import merge_from_file, read_request
from traitgraph.runtime.merging.layers import ByName, Gradient
from traitgraph.runtime.merging.named_models import NamedModels
from traitgraph.runtime.merging.request import Request
from traitgraph.specs.diagnostics import SpecError, in_order, render_text


@pytest.fixture
def folder(tmp_path: Path, base_folder: Path) -> Path:
    """A folder with the base, two fine-tunes and an adapter, beside which recipes are written."""
    (tmp_path / "base").symlink_to(base_folder)
    for seed in (1, 2):
        save_fine_tune(base_folder, tmp_path / f"tuned{seed}", seed=seed)
    save_adapter(base_folder, tmp_path / "lora", seed=3)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "recipe.yaml").write_text(text)
    return folder / "recipe.yaml"


def request_of(folder: Path, text: str) -> Request:
    recipe = written(folder, text)
    return read_request(recipe, NamedModels(recipe, folder / "scratch"))


def expected(folder: Path, alphas: list[float], **options: Any) -> dict[str, Any]:
    """What the function on tensors in memory makes of the same models."""
    base, *tuned = (weights(load(folder / name)) for name in ("base", "tuned1", "tuned2"))
    return merge_state_dicts(base, tuned, weights=alphas, **options)


def merged(folder: Path, text: str) -> dict[str, Any]:
    merge_from_file(written(folder, text), folder / "out")
    return weights(load(folder / "out"))


MODELS = """
models:
  - model: base
  - model: tuned1
    parameters: {weight: 0.7, density: 0.4}
  - model: tuned2
    parameters: {weight: 0.5, density: 0.4}
base_model: base
"""


def test_own_file_is_the_function_on_tensors(folder: Path) -> None:
    text = """
base: base
method: {kind: ties, density: 0.4, seed: null}
vectors:
  - {model: tuned1, alpha: 0.7}
  - {model: tuned2, alpha: -0.5}
""".replace(", seed: null", "")
    assert same_bits(merged(folder, text), expected(folder, [0.7, -0.5], method="ties", density=0.4))


def test_random_masks_are_those_of_tensors_in_memory(folder: Path) -> None:
    """The identity of a fine-tune is its values, wherever they lie."""
    text = "base: base\nmethod: {kind: dare, seed: 4}\nvectors: [{model: tuned1}, {model: tuned2}]\n"
    assert same_bits(merged(folder, text), expected(folder, [1, 1], method="dare", seed=4))


def test_adapters_vectors_and_models_are_mixed(folder: Path, bench: Bench) -> None:
    import torch
    from peft import PeftModel

    key = bench.vector(folder / "base", "model", folder / "tuned1")
    text = f"""
base: base
vectors: [{{adapter: lora, alpha: 0.5}}, {{vector: {bench.store.path("vector", key)}, alpha: 2}}]
"""
    found = merged(folder, text)
    base, tuned = weights(load(folder / "base")), weights(load(folder / "tuned1"))
    lora = weights(PeftModel.from_pretrained(load(folder / "base"), str(folder / "lora")).merge_and_unload())
    for name, start in base.items():
        wanted = start + 0.5 * (lora[name] - start) + 2 * (tuned[name] - start)
        torch.testing.assert_close(found[name], wanted, atol=2e-6, rtol=0)


def test_vector_of_another_base_is_carried_onto_the_base(folder: Path) -> None:
    import torch

    found = merged(folder, "base: tuned2\nvectors: [{model: tuned1, of: base, alpha: 0.5}]\n")
    base, tuned, onto = (weights(load(folder / name)) for name in ("base", "tuned1", "tuned2"))
    for name, start in onto.items():
        torch.testing.assert_close(found[name], start + 0.5 * (tuned[name] - base[name]), atol=1e-6, rtol=0)


def test_vector_of_a_language_model_goes_into_a_vision_language_model(folder: Path, base_folder: Path) -> None:
    """The language part gets base + alpha * phi; vision tower and extra rows of the embedding are copied."""
    import torch
    from safetensors.torch import load_file

    from tests.merging.test_fitting import vision_language_model

    vision_language_model(base_folder, folder / "vlm", rows=3)
    recipe = """
base: vlm
names: {model.: model.language_model.}
vocabulary: common
vectors: [{model: tuned1, of: base, alpha: 1}]
"""
    report = merge_from_file(written(folder, recipe), folder / "out")
    found, start = (load_file(folder / name / "model.safetensors") for name in ("out", "vlm"))
    tuned = weights(load(folder / "tuned1"))
    assert torch.equal(found["model.vision_tower.w"], start["model.vision_tower.w"])
    rows = tuned["model.embed_tokens.weight"].shape[0]
    name = "model.language_model.embed_tokens.weight"
    assert torch.allclose(found[name][:rows], tuned["model.embed_tokens.weight"], atol=1e-6)
    assert torch.equal(found[name][rows:], start[name][rows:])
    inside = "model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(found[inside], tuned["model.layers.0.mlp.up_proj.weight"])
    assert report.as_data()["rows_in_common"] == {name: rows}


def test_list_of_alphas_runs_over_the_layers(folder: Path) -> None:
    found = merged(folder, "base: base\nvectors: [{model: tuned1, alpha: [0, 1]}]\n")
    base, tuned = weights(load(folder / "base")), weights(load(folder / "tuned1"))
    assert all((found[name] == base[name]).all() for name in base if ".layers.0." in name or "embed" in name)
    assert all((found[name] == tuned[name]).all() for name in base if ".layers.1." in name or "model.norm" in name)


def test_list_of_densities_runs_over_the_layers(folder: Path) -> None:
    """Each tensor is trimmed at its layer's density; a threshold of the whole model would have no meaning."""
    text = (
        "base: base\nmethod: {kind: magnitude_prune, scope: tensor}\nvectors: [{model: tuned1, density: [1, 0.25]}]\n"
    )
    found, base = merged(folder, text), weights(load(folder / "base"))
    kept = {name: float((found[name] != base[name]).float().mean()) for name in found}
    assert kept["model.layers.0.mlp.up_proj.weight"] == 1.0
    assert kept["model.layers.1.mlp.up_proj.weight"] == pytest.approx(0.25, abs=1e-3)
    with pytest.raises(MergeError, match="magnitude_prune: a density that differs by tensor needs `scope: tensor`"):
        merge_from_file(written(folder, text.replace(", scope: tensor", "")), folder / "other")


NO_CHANGE = {
    "alpha 0": "base: base\nvectors: [{model: tuned1, alpha: 0}]\n",
    "two of them": "base: base\nmethod: slerp\nvectors: [{model: tuned1, alpha: 0}, {model: tuned2, alpha: 0}]\n",
    "density 0": "base: base\nmethod: {kind: ties, density: 0}\nvectors: [{model: tuned1}]\n",
    "weight 0 of mergekit": MODELS.replace("0.7", "0.0").replace("0.5", "0.0") + "merge_method: ties\n",
    "t 0 of mergekit": (
        "models: [{model: base}, {model: tuned1}]\nbase_model: base\nmerge_method: slerp\nparameters: {t: 0}\n"
    ),
}


@pytest.mark.parametrize("text", NO_CHANGE.values(), ids=NO_CHANGE)
def test_a_merge_that_changes_nothing_writes_the_base_and_claims_no_effective_alpha(folder: Path, text: str) -> None:
    report = merge_from_file(written(folder, text), folder / "out")
    assert same_bits(weights(load(folder / "out")), weights(load(folder / "base")))
    assert report.statistics["effective_alpha"] is None
    assert report.warnings == ()
    assert "No change: the vectors" in (folder / "out" / "README.md").read_text()


def test_an_adapter_of_nothing_is_not_written(folder: Path) -> None:
    text = "base: base\nwrite: adapter\nvectors: [{adapter: lora, alpha: 0}]\n"
    with pytest.raises(MergeError, match="nothing is changed: every coefficient is 0"):
        merge_from_file(written(folder, text), folder / "out")


@pytest.mark.parametrize("method", ["slerp", "linear", "{kind: task_arithmetic, normalise: true}"])
def test_coefficients_that_add_up_to_nothing_are_refused_before_anything_is_read(folder: Path, method: str) -> None:
    text = f"base: nowhere\nmethod: {method}\nvectors: [{{model: tuned1}}, {{model: tuned2, alpha: -1}}]\n"
    with pytest.raises(SpecError) as caught:
        merge_from_file(written(folder, text), None, dry_run=True)
    assert "divides by the sum of the coefficients, and 1, -1 add up to 0" in render_text(caught.value.diagnostics)


def test_adapters_are_written_as_one_adapter(folder: Path) -> None:
    report = merge_from_file(
        written(folder, "base: base\nwrite: adapter\nvectors: [{adapter: lora, alpha: 0.5}]\n"), folder / "out"
    )
    assert {file.name for file in (folder / "out").iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
    }
    assert report.warnings == ()


def test_an_adapter_that_its_rank_cuts_short_says_so(folder: Path) -> None:
    text = "base: base\nwrite: adapter\nrank: 1\nvectors: [{adapter: lora}]\n"
    report = merge_from_file(written(folder, text), folder / "out")
    assert report.statistics["effective_alpha"] < 0.9
    (warning,) = report.warnings
    assert "of the change fits into rank 1: raise `rank`, or drop it" in warning
    assert warning in (folder / "out" / "README.md").read_text()


def test_recipe_and_folder_are_given_as_text_too(folder: Path) -> None:
    recipe = str(written(folder, "base: base\nvectors: [{model: tuned1}]\n"))
    assert merge_from_file(recipe, str(folder / "out")).out == folder / "out"
    assert same_bits(weights(load(folder / "out")), weights(load(folder / "tuned1")))


def test_dry_run_says_what_would_be_written_and_writes_nothing(folder: Path) -> None:
    report = merge_from_file(written(folder, MODELS + "merge_method: ties\n"), folder / "out", dry_run=True).as_data()
    assert len(report["matched"]) == 20
    assert report["matched"]["model.norm.weight"] == "model.norm.weight"
    assert report["bytes_written"] == report["bytes_changed"] > 0
    assert report["statistics"] == {}
    assert not (folder / "out").exists()


def test_a_coefficient_that_is_no_number_is_one_fault(folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        merge_from_file(written(folder, "base: base\nvectors: [{model: tuned1, alpha: abc}]\n"), folder / "out")
    assert [each.message for each in caught.value.diagnostics] == ["'abc' is not a number"]


def test_a_dry_run_needs_no_folder_and_a_merge_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(written(folder, MODELS + "merge_method: ties\n"))
    before = sorted(folder.iterdir())
    assert main(["merge", recipe, "--dry-run"]) == 0
    assert "20 tensors matched, 0.1 MB of 0.1 MB changed" in capsys.readouterr().err
    assert main(["merge", recipe]) == 2
    assert "name the new folder: -o DIR" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


MERGEKIT: dict[str, tuple[str, list[float], dict[str, Any]]] = {
    "task arithmetic": ("merge_method: task_arithmetic", [0.7, 0.5], {"method": "task_arithmetic"}),
    "lambda and normalize": (
        "merge_method: task_arithmetic\nparameters: {lambda: 0.5, normalize: true}",
        [0.7, 0.5],
        {"method": "task_arithmetic", "scale": 0.5, "normalise": True},
    ),
    "ties": ("merge_method: ties", [0.7, 0.5], {"method": "ties", "density": 0.4, "conventions": "mergekit"}),
    "dare": ("merge_method: dare_linear", [0.7, 0.5], {"method": "dare", "density": 0.4, "conventions": "mergekit"}),
    "dare, normalised": (
        "merge_method: dare_linear\nparameters: {normalize: true}",
        [0.7, 0.5],
        {"method": "dare", "density": 0.4, "normalise": True, "conventions": "mergekit"},
    ),
    "breadcrumbs": (
        "merge_method: breadcrumbs_ties\nparameters: {gamma: 0.1}",
        [0.7, 0.5],
        {"method": "breadcrumbs", "density": 0.4, "outliers": 0.1, "elect": "mass", "conventions": "mergekit"},
    ),
}


@pytest.mark.parametrize("case", MERGEKIT.values(), ids=MERGEKIT)
def test_mergekit_file_means_the_same(folder: Path, case: tuple[str, list[float], dict[str, Any]]) -> None:
    text, alphas, options = case
    models = MODELS if "density" in options else MODELS.replace(", density: 0.4", "")
    assert same_bits(merged(folder, models + text + "\n"), expected(folder, alphas, **options))


def test_linear_of_mergekit_is_a_mean_of_all_its_models(folder: Path) -> None:
    import torch

    text = """
models:
  - {model: base, parameters: {weight: 1}}
  - {model: tuned1, parameters: {weight: 2}}
  - {model: tuned2, parameters: {weight: 1}}
merge_method: linear
"""
    found = merged(folder, text)
    models = [weights(load(folder / name)) for name in ("base", "tuned1", "tuned2")]
    for name in found:
        mean = (models[0][name] + 2 * models[1][name] + models[2][name]) / 4
        torch.testing.assert_close(found[name], mean, atol=1e-6, rtol=0)


def test_slices_over_all_layers_with_filters_and_gradients_are_read(folder: Path) -> None:
    text = """
slices:
  - sources:
      - {model: base, layer_range: [0, 2]}
      - {model: tuned1, layer_range: [0, 2]}
merge_method: slerp
base_model: base
parameters:
  t:
    - {filter: self_attn, value: [0, 0.5, 1]}
    - {filter: mlp, value: 0.25}
    - {value: 0.5}
dtype: bfloat16
"""
    request = request_of(folder, text)
    (source,) = request.sources
    assert source.weight == ByName((("self_attn", Gradient((0, 0.5, 1), "first")), ("mlp", 0.25), ("", 0.5)))
    assert request.dtype == "bfloat16"


def test_adapter_of_the_base_is_read_from_the_plus_form(folder: Path) -> None:
    text = "base_model: base\nmerge_method: task_arithmetic\nmodels: [{model: base+lora, parameters: {weight: 0.5}}]\n"
    (source,) = request_of(folder, text).sources
    assert (source.kind, source.where, source.weight) == ("adapter", "lora", 0.5)


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


@pytest.mark.parametrize(
    "text",
    [
        "base: PRESET\nvectors: [{model: tuned1, alpha: 0.7}]\n",
        "base_model: PRESET\nmerge_method: task_arithmetic\nmodels: [{model: tuned1, parameters: {weight: 0.7}}]\n",
        "base_model: PRESET\nmerge_method: task_arithmetic\nparameters: {weight: 0.7}\n"
        "slices: [{sources: [{model: PRESET, layer_range: [0, 2]}, {model: tuned1, layer_range: [0, 2]}]}]\n",
    ],
    ids=["ours", "mergekit's", "mergekit's slices"],
)
def test_a_model_preset_beside_the_recipe_names_a_model(folder: Path, text: str) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "my-base.yaml").write_text("path: base\n")
    by_preset = merged(folder, text.replace("PRESET", "my-base"))
    merge_from_file(written(folder, text.replace("PRESET", "base")), folder / "again")
    assert same_bits(by_preset, weights(load(folder / "again")))


def test_a_preset_of_the_hub_is_recorded_by_its_id(folder: Path) -> None:
    request = request_of(folder, "base: llama-3.1-8b-instruct\nvectors: [{model: tuned1}]\n")
    assert request.base == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.real_model
def test_a_preset_of_a_packaged_gguf_file_is_converted_once(folder: Path) -> None:
    """The conversion itself is that of `prepare`, tested with the real model."""
    converted = folder / "scratch" / "SmolLM2-135M-Instruct.Q4_1"
    converted.parent.mkdir()
    converted.symlink_to(folder / "base")
    text = "base: smollm2-135m\nvectors: [{model: tuned1}]\n"
    assert request_of(folder, text).base == "smollm2-135m"
    assert NamedModels(folder / "recipe.yaml", folder / "scratch").folder("smollm2-135m") == converted


def test_a_misspelt_preset_is_told_with_the_nearest(folder: Path) -> None:
    with pytest.raises(MergeError, match=r"neither a model preset nor a hub id; near: smollm2-135m"):
        merge_from_file(written(folder, "base: smollm-135m\nvectors: [{model: tuned1}]\n"), folder / "out")


def test_a_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(MergeError, match=r"no file or folder '\./nowhere' .*nor a hub id"):
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
        ("adapter: tuned1", r"tuned1: no LoRA adapter .*; name a checkpoint under `model`"),
        ("model: lora", r"lora: a LoRA adapter and no checkpoint; name it under `adapter`"),
    ],
)
def test_adapters_and_checkpoints_are_not_taken_for_each_other(folder: Path, source: str, message: str) -> None:
    with pytest.raises(MergeError, match=message):
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
    folder: Path, base: str, told: str, kind: str | None
) -> None:
    """A path proves nothing, and a folder that is not the hub's has no name of its own."""
    if base == SNAPSHOT:
        (folder / base).parent.mkdir(parents=True)
        (folder / base).symlink_to((folder / "base").resolve())
    config = folder / "lora" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": told}))
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


def test_a_tokenizer_of_the_base_is_read_in_both_of_mergekits_forms(folder: Path) -> None:
    text = MODELS + "merge_method: task_arithmetic\n"
    for form in ("tokenizer_source: base", "tokenizer: {source: base}"):
        assert request_of(folder, text.replace(", density: 0.4", "") + form).base == "base"
    with pytest.raises(SpecError) as caught:
        request_of(folder, text + "tokenizer: {source: union}\n")
    assert "set it to {source: base}, or drop it" in render_text(caught.value.diagnostics)
