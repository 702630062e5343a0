"""Under `conventions: mergekit` every method that both have gives what mergekit's own Python API gives, to 1e-5."""

from __future__ import annotations

from typing import Any

import pytest

from tests.merging.parity.inputs import MIXED, WEIGHTS, as_vectors, base_and_tuned, differences, our_bernoulli
from traitgraph.runtime.merging import merge_state_dicts, merge_vectors

pytest.importorskip("mergekit", reason="mergekit is not installed (see docs/merging.md, parity)")


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
    "dare and ties": ("dare_ties", "dare_ties", {}, {"density": 0.5}, {"density": 0.5, "seed": 5}),
    "breadcrumbs": ("breadcrumbs", "breadcrumbs", {}, {"density": 0.8, "gamma": 0.05},
                    {"density": 0.8, "outliers": 0.05}),
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
        torch.testing.assert_close(base[name] + found[name], expected[name], atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_slerp_agrees(t: float) -> None:
    import torch
    from mergekit.merge_methods.slerp import slerp

    base, (tuned,) = base_and_tuned(1)
    found = merge_state_dicts(base, [tuned], method="slerp", weights=[t], conventions="mergekit")
    for name in base:
        expected = slerp(torch.tensor([t]), base[name][None], tuned[name][None])[0]
        torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=0)
