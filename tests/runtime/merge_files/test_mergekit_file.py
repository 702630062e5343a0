"""`traitgraph merge` of mergekit's own files, where they mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import load, same_bits, weights
from tests.runtime.merging.recipes import MODELS, expected, merged, request_of, written
from traitgraph.runtime.merge_files.from_file import layers_of_model, merge_from_file
from traitgraph.runtime.merging import MergeError
from traitgraph.runtime.vectors.layers import ByName, Gradient
from traitgraph.specs.source.diagnostics import SpecError, render_text

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


def test_a_tokenizer_of_the_base_is_read_in_both_of_mergekits_forms(folder: Path) -> None:
    text = MODELS + "merge_method: task_arithmetic\n"
    for form in ("tokenizer_source: base", "tokenizer: {source: base}"):
        assert request_of(folder, text.replace(", density: 0.4", "") + form).base == "base"
    with pytest.raises(SpecError) as caught:
        request_of(folder, text + "tokenizer: {source: union}\n")
    assert "set it to {source: base}, or drop it" in render_text(caught.value.diagnostics)


@pytest.mark.parametrize(
    ("weights", "normalize"), [((0, 0), "true"), ((0, 0), "false"), (("[0, 1]", "[0, 2]"), "true")]
)
def test_a_mean_of_models_without_any_weight_is_refused(
    folder: Path, weights: tuple[object, ...], normalize: str
) -> None:
    """mergekit writes zeros or NaN there; the base, or the first model, would be another model than it means."""
    models = "".join(f"- {{model: tuned{n}, parameters: {{weight: {w}}}}}\n" for n, w in enumerate(weights, 1))
    text = f"models:\n{models}merge_method: linear\nparameters: {{normalize: {normalize}}}\ndtype: float32\n"
    with pytest.raises((SpecError, MergeError)) as caught:
        merge_from_file(written(folder, text), folder / "out")
    error = caught.value
    shown = render_text(error.diagnostics) if isinstance(error, SpecError) else str(error)
    assert "add up to 0" in shown or "weights are all 0" in shown


@pytest.mark.parametrize(
    "config", [{"num_hidden_layers": 2}, {"n_layer": 2}, {"num_layers": 2}, {"text_config": {"num_hidden_layers": 2}}]
)
def test_the_number_of_layers_is_read_under_the_name_that_the_architecture_has(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert layers_of_model(tmp_path) == 2
