"""Under `conventions: peft` every method that both have gives what peft's merge kernels give on full differences."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtime.merging.parity.inputs import MIXED, SHAPES, WEIGHTS, as_vectors, differences, our_bernoulli
from traitgraph.runtime.merging import merge_vectors

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # our method and theirs, their options, ours
    "task_arithmetic": ("task_arithmetic", {}, {}),
    "magnitude_prune": ("magnitude_prune", {"density": 0.3}, {"density": 0.3}),
    "ties": ("ties", {"density": 0.2}, {"density": 0.2}),
    "ties by count": (
        "ties",
        {"density": 0.5, "majority_sign_method": "frequency"},
        {"density": 0.5, "elect": "count"},
    ),
    "dare": ("dare_linear", {"density": 0.5}, {"density": 0.5, "seed": 5}),
    "dare_ties": ("dare_ties", {"density": 0.5}, {"density": 0.5, "seed": 5}),
}


@pytest.mark.parametrize("weights", [WEIGHTS, MIXED], ids=["positive", "mixed signs"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_kernel_agrees(case: Any, weights: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from peft.utils import merge_utils

    theirs, their_options, our_options = case
    ours = {"dare_linear": "dare"}.get(theirs, theirs)
    found = merge_vectors(as_vectors(differences()), method=ours, weights=weights, conventions="peft", **our_options)
    for name in SHAPES:
        monkeypatch.setattr(torch, "bernoulli", our_bernoulli(5, name))
        tensors = [each[name] for each in differences()]
        expected = getattr(merge_utils, theirs)(tensors, torch.tensor(weights), **their_options)
        torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=0)
