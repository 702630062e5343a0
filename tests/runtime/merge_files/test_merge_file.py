"""`traitgraph merge RECIPE.yaml`: what our own files mean, what is written, and which model a name stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.bench import Bench, load, same_bits, weights
from tests.runtime.merging.recipes import MODELS, expected, merged, request_of, written
from traitgraph.cli.main import main
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merge_files.request import NamedModels
from traitgraph.runtime.merging import MergeError
from traitgraph.specs.source.diagnostics import SpecError, render_text


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

    from tests.runtime.vectors.test_fitting import vision_language_model

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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "base: ./bsae\nvectors:\n  - {model: tuned1}\n  - {adapter: ./tuned9}\n",
            [("'./bsae'", 1, 7, "near: base"), ("'./tuned9'", 4, 15, "near: tuned")],
        ),
        (
            "base_model: base\nmerge_method: task_arithmetic\nmodels:\n"
            "  - {model: base+lroa, parameters: {weight: 1}}\n",
            [("'lroa'", 4, 13, "near: lora")],
        ),
    ],
)
def test_every_model_that_is_nowhere_is_told_at_its_place(
    folder: Path, text: str, told: list[tuple[str, int, int, str]]
) -> None:
    with pytest.raises(SpecError) as caught:
        merge_from_file(written(folder, text), folder / "out")
    for fault, (name, line, column, hint) in zip(caught.value.diagnostics, told, strict=True):
        assert fault.message == f"there is no file or folder {name}"
        assert fault.span
        assert (fault.span.line, fault.span.column) == (line, column)
        assert (fault.hint or "").startswith(hint)


def test_a_dry_run_needs_no_folder_and_a_merge_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(written(folder, MODELS + "merge_method: ties\n"))
    before = sorted(folder.iterdir())
    assert main(["merge", recipe, "--dry-run"]) == 0
    assert "20 tensors matched, 0.1 MB of 0.1 MB changed" in capsys.readouterr().err
    assert main(["merge", recipe]) == 2
    assert "name the new folder: -o DIR" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_what_a_merge_matched_is_told_to_people_and_to_machines(
    folder: Path, base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.runtime.vectors.test_fitting import vision_language_model

    vision_language_model(base_folder, folder / "vlm", rows=3)
    text = "base: vlm\nnames: {model.: model.language_model.}\nvocabulary: common\n"
    words = ["merge", str(written(folder, text + "vectors: [{model: tuned1, of: base}]\n")), "--dry-run"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    ((embedding, rows),) = found["rows_in_common"].items()
    assert (embedding, len(found["matched"])) == ("model.language_model.embed_tokens.weight", 20)
    assert main(words) == 0
    told = capsys.readouterr().err.splitlines()
    theirs, ours = next(iter(found["matched"].items()))
    assert f"20 under other names, first {theirs} -> {ours}" in told
    assert "left as in the base: model.vision_tower.w" in told
    assert f"rows in common: the first {rows} of {embedding}" in told


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_place_of_the_new_folder_is_followed(folder: Path, there: bool) -> None:
    recipe = str(written(folder, MODELS + "merge_method: ties\n"))
    (folder / "disk").mkdir()
    if there:
        (folder / "disk" / "merged").mkdir()
    (folder / "out").symlink_to(folder / "disk" / "merged")
    assert main(["merge", recipe, "-o", str(folder / "out")]) == 0
    assert (folder / "out").is_symlink()
    assert (folder / "disk" / "merged" / "config.json").is_file()
    assert main(["merge", recipe, "-o", str(folder / "out")]) == 2, "never over what is there"


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


@pytest.mark.parametrize("file", ["vector.safetensors", "manifest.json"])
def test_a_vector_that_was_altered_after_its_job_is_refused(folder: Path, bench: Bench, file: str) -> None:
    """Its fingerprint, which draws the masks and stands in the record, would be that of other values."""
    where = bench.store.path("vector", bench.vector(folder / "base", "model", folder / "tuned1"))
    recipe = written(folder, f"base: base\nvectors: [{{vector: {where}}}]\n")
    merge_from_file(recipe, None, dry_run=True)
    content = bytearray((where / file).read_bytes())
    content[-3] ^= 1
    (where / file).chmod(0o600)
    (where / file).write_bytes(content)
    with pytest.raises(MergeError, match="not what its job wrote"):
        merge_from_file(recipe, folder / "out")


@pytest.mark.parametrize(
    ("changed", "told"), [(0.5, "the change lies in none of"), (0.0, "no change: the vectors add")]
)
def test_a_change_of_rows_that_are_not_sampled_is_not_called_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: float, told: str
) -> None:
    import torch

    from tests.runtime.merging.test_vocabularies import EMBEDDING, saved

    table = torch.ones(600_000, 4)
    saved(tmp_path / "base", {EMBEDDING: table})
    table[0] += changed
    saved(tmp_path / "tuned", {EMBEDDING: table})
    recipe = str(written(tmp_path, "base: base\nvectors: [{model: tuned}]\n"))
    assert main(["merge", recipe, "-o", str(tmp_path / "out")]) == 0
    assert told in capsys.readouterr().err
