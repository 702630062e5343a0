"""Under `conventions: mergekit` every method that both have gives what mergekit's own Python API gives, to 1e-5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.runtime.bench import load, save_fine_tune, weights
from tests.runtime.merging.parity.inputs import MIXED, WEIGHTS, as_vectors, base_and_tuned, differences, our_bernoulli
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging import merge_state_dicts, merge_vectors


def by_mergekit(
    method: str, weights: tuple[float, ...], shared: dict[str, Any], own: dict[str, float]
) -> dict[str, Any]:
    """Merged weights of every tensor from mergekit's in-memory call; random masks are ours."""
    import torch
    from mergekit.merge_methods import registry
    from mergekit.merge_methods.base import PerInputValues, TensorEntry, TensorGroup

    base, tuned = base_and_tuned(len(weights))
    merged = {}
    for name in base:
        entries = [TensorEntry(number, each[name]) for number, each in enumerate(tuned)]
        if method != "linear":
            entries.insert(0, TensorEntry("base", base[name], is_base=True))
        inputs = {key: PerInputValues(dict.fromkeys(range(len(tuned)), value)) for key, value in own.items()}
        inputs["weight"] = PerInputValues(dict(enumerate(weights)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "bernoulli", our_bernoulli(5, name))
            (merged[name],) = registry.get(method)([TensorGroup(tuple(entries))], parameters={**shared, **inputs})
    return merged


CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, float], dict[str, Any]]] = {
    # ours, theirs, their shared parameters, their parameters per input, our options
    "task arithmetic": ("task_arithmetic", "task_arithmetic", {}, {}, {}),
    "task arithmetic, lambda": ("task_arithmetic", "task_arithmetic", {"lambda": 0.6}, {}, {"scale": 0.6}),
    "task arithmetic, normalised": ("task_arithmetic", "task_arithmetic", {"normalize": True}, {}, {"normalise": True}),
    "ties": ("ties", "ties", {}, {"density": 0.2}, {"density": 0.2}),
    "ties, lambda": ("ties", "ties", {"lambda": 0.4}, {"density": 0.5}, {"density": 0.5, "scale": 0.4}),
    "ties, not normalised": ("ties", "ties", {"normalize": False}, {"density": 0.3}, {"density": 0.3, "mean": "sum"}),
    "dare": ("dare", "dare_linear", {}, {"density": 0.5}, {"density": 0.5, "seed": 5}),
    "dare, no rescale": ("dare", "dare_linear", {"rescale": False}, {"density": 0.5},
                         {"density": 0.5, "seed": 5, "rescale": "none"}),
    "dare, normalised": ("dare", "dare_linear", {"normalize": True}, {"density": 0.5},
                         {"density": 0.5, "seed": 5, "normalise": True}),
    "dare and ties": ("dare_ties", "dare_ties", {}, {"density": 0.5}, {"density": 0.5, "seed": 5}),
    "breadcrumbs": ("breadcrumbs", "breadcrumbs", {}, {"density": 0.8, "gamma": 0.05},
                    {"density": 0.8, "outliers": 0.05}),
    "breadcrumbs, normalised": ("breadcrumbs", "breadcrumbs", {"normalize": True}, {"density": 0.8, "gamma": 0.05},
                                {"density": 0.8, "outliers": 0.05, "normalise": True}),
    "breadcrumbs, elected": ("breadcrumbs", "breadcrumbs_ties", {}, {"density": 0.8, "gamma": 0.05},
                             {"density": 0.8, "outliers": 0.05, "elect": "mass"}),
    "della": ("della", "della", {}, {"density": 0.5, "epsilon": 0.2}, {"density": 0.5, "epsilon": 0.2, "seed": 5}),
    "della, linear": ("della_linear", "della_linear", {}, {"density": 0.5, "epsilon": 0.2},
                      {"density": 0.5, "epsilon": 0.2, "seed": 5}),
}  # fmt: skip


@pytest.mark.parametrize("weights", [WEIGHTS, MIXED], ids=["positive", "mixed signs"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_task_vector_method_agrees(case: Any, weights: tuple[float, ...]) -> None:
    import torch

    ours, theirs, shared, own, options = case
    base, _ = base_and_tuned()
    expected = by_mergekit(theirs, weights, shared, own)
    found = merge_vectors(as_vectors(differences()), method=ours, weights=weights, conventions="mergekit", **options)
    for name in base:
        torch.testing.assert_close(base[name] + found.get(name, 0.0), expected[name], atol=1e-5, rtol=0)


SIGNED: dict[str, tuple[str, str, dict[str, Any], dict[str, float], dict[str, Any]]] = {
    **{name: CASES[name] for name in ("task arithmetic, normalised", "ties", "dare, normalised", "della")},
    "dare and ties, normalised": ("dare_ties", "dare_ties", {"normalize": True}, {"density": 0.5},
                                  {"density": 0.5, "seed": 5, "mean": "weight"}),
    "breadcrumbs, elected and normalised": (
        "breadcrumbs", "breadcrumbs_ties", {"normalize": True}, {"density": 0.8, "gamma": 0.05},
        {"density": 0.8, "outliers": 0.05, "elect": "mass", "mean": "weight"}),
    "breadcrumbs, normalised": CASES["breadcrumbs, normalised"],
    "della, linear, normalised": ("della_linear", "della_linear", {"normalize": True},
                                  {"density": 0.5, "epsilon": 0.2},
                                  {"density": 0.5, "epsilon": 0.2, "seed": 5, "normalise": True}),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGNED.values(), ids=SIGNED)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(weights=st.lists(st.integers(-6, 6).map(lambda number: number / 8), min_size=3, max_size=3))
@example(weights=[0.5, 0.25, -0.75])
@example(weights=[3.0, -1.0, -2.0])
@example(weights=[-0.5, -0.25, -0.75])
def test_a_mean_by_weight_agrees_where_signs_are_mixed_and_weights_cancel(case: Any, weights: list[float]) -> None:
    """An empty divisor (agreeing weights that add up to 0) is 1 there, whatever the scale of the weights."""
    test_task_vector_method_agrees(case, tuple(weights))


def test_decimals_that_cancel_are_an_empty_divisor_too() -> None:
    """0.3 + 0.6 - 0.9 is 6e-8 in float32, by which mergekit itself would divide: the sum of the decimals is 0."""
    import torch

    vectors = [{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 0.5])}, {"w": torch.tensor([-1.0, -1.0])}]
    weights = [0.3, 0.6, -0.9]
    wanted = sum(weight * vector["w"] for weight, vector in zip(weights, vectors, strict=True))
    for method, options in (("ties", {"density": 1.0}), ("task_arithmetic", {"normalise": True})):
        found = merge_vectors(vectors, method=method, weights=weights, conventions="mergekit", **options)["w"]
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("weights", [(0.5, 0.25, -0.75), (0.1, 0.2, -0.3), (0.7, 0.7, -1.4)])
def test_vectors_that_cancel_elect_a_plus(weights: tuple[float, ...]) -> None:
    """A vote of 0 is a draw, and no ratio of coefficients may turn what rounding leaves of it into a sign."""
    import torch

    vector = torch.linspace(-2, 2, 101)
    found = merge_vectors([{"w": vector}] * 3, method="ties", weights=weights, density=1.0)["w"]
    assert bool((found >= 0).all())


@pytest.mark.parametrize("normalise", [True, False])
def test_linear_agrees(normalise: bool) -> None:
    import torch

    base, tuned = base_and_tuned()
    expected = by_mergekit("linear", WEIGHTS, {"normalize": normalise}, {})
    found = merge_state_dicts(
        base, tuned, method="linear", weights=WEIGHTS, conventions="mergekit", normalise=normalise
    )
    for name in base:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.0, 1.5])
def test_slerp_agrees(t: float) -> None:
    import torch
    from mergekit.merge_methods.slerp import slerp

    base, (tuned,) = base_and_tuned(1)
    some, zero = next(iter(base.values())), torch.zeros(4, 3)
    base |= {"equal": some, "opposite": some, "from 0": zero, "to 0": zero + 1, "both 0": zero}
    tuned |= {"equal": some, "opposite": -some, "from 0": zero + 1, "to 0": zero, "both 0": zero}
    found = merge_state_dicts(base, [tuned], method="slerp", weights=[t], conventions="mergekit")
    for name in base:
        expected = slerp(torch.tensor([t]), base[name][None], tuned[name][None])[0]
        torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=0)


FILES = {
    "ties with gradients": """
models:
  - {model: BASE}
  - {model: ONE, parameters: {weight: [0.2, 1], density: 0.4}}
  - {model: TWO, parameters: {weight: 0.5, density: 0.7}}
merge_method: ties
base_model: BASE
parameters: {lambda: 0.8}
""",
    "ties with values of every kind": """
models:
  - {model: ONE, parameters: {weight: 1.0, density: [1, 0.1]}}
  - model: TWO
    parameters:
      weight: [{filter: mlp, value: 0.5}, {value: [0, 0.3]}]
      density: [{filter: self_attn, value: [0.2, 0.9]}, {value: 0.33}]
merge_method: ties
base_model: BASE
parameters: {normalize: true, int8_mask: true}
""",
    "slerp with filters": """
slices:
  - sources:
      - {model: BASE, layer_range: [0, 2]}
      - {model: ONE, layer_range: [0, 2]}
merge_method: slerp
base_model: BASE
parameters:
  t: [{filter: self_attn, value: [0, 0.5, 1]}, {filter: mlp, value: [1, 0]}, {value: 0.5}]
""",
    "linear": """
models:
  - {model: ONE, parameters: {weight: 0.3}}
  - {model: TWO, parameters: {weight: [1, 2]}}
merge_method: linear
""",
    "weights that cancel, averaged by weight": """
models:
  - {model: ONE, parameters: {weight: 0.5, density: 0.5}}
  - {model: TWO, parameters: {weight: -0.5, density: 0.5}}
merge_method: ties
base_model: BASE
""",
    "weights that cancel, normalised": """
models:
  - {model: ONE, parameters: {weight: [0.5, 0.25]}}
  - {model: TWO, parameters: {weight: -0.5}}
merge_method: task_arithmetic
base_model: BASE
parameters: {normalize: 1, rescale: 0, int8_mask: false}
""",
    "breadcrumbs": """
models:
  - {model: ONE, parameters: {weight: 1, density: 0.6}}
merge_method: breadcrumbs
base_model: BASE
parameters: {gamma: 0.1}
""",
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_file_gives_what_mergekit_writes(tmp_path: Path, base_folder: Path, text: str) -> None:
    import torch
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    tuned = [save_fine_tune(base_folder, tmp_path / f"tuned{seed}", seed=seed) for seed in (1, 2)]
    for word, folder in zip(("BASE", "ONE", "TWO"), (base_folder, *tuned), strict=True):
        text = text.replace(word, str(folder))
    (tmp_path / "recipe.yaml").write_text(text)
    merge_from_file(tmp_path / "recipe.yaml", tmp_path / "ours")
    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    run_merge(config, str(tmp_path / "theirs"), MergeOptions(copy_tokenizer=False, quiet=True))
    found, wanted = weights(load(tmp_path / "ours")), weights(load(tmp_path / "theirs"))
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-5, rtol=0)
