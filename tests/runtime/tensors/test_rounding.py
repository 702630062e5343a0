from __future__ import annotations

import pytest

from traitgraph.runtime.merging import MergeError, merge_state_dicts
from traitgraph.runtime.tensors.rounding import round_to


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_stochastic_rounding_is_right_on_average_and_takes_a_neighbour(dtype: str) -> None:
    import torch

    target = getattr(torch, dtype)
    numbers = torch.randn(200, generator=torch.Generator().manual_seed(0)) * 0.02
    numbers[:4] = torch.tensor([0.0, 1e-3, -1e-3, 2.0**-30])
    mean = torch.zeros_like(numbers).double()
    draws = 2000
    for seed in range(draws):
        rounded = round_to(numbers, target, "stochastic", seed=seed, name="w", offset=0).double()
        mean += rounded / draws
        nearest = numbers.to(target).double()
        step = (rounded - nearest).abs()
        assert bool((step <= (numbers.double() - nearest).abs() + (rounded - numbers.double()).abs() + 1e-12).all())
    spacing = (numbers.abs() * 2.0 ** (-7 if dtype == "bfloat16" else -10)).clamp(min=6e-8).double()
    assert bool(((mean - numbers.double()).abs() < 5 * spacing / draws**0.5).all())


def test_values_that_fit_are_not_moved_by_stochastic_rounding() -> None:
    import torch

    numbers = torch.tensor([0.0, 1.0, -1.5, 0.125])
    assert torch.equal(round_to(numbers, torch.bfloat16, "stochastic", seed=1, name="w", offset=0).float(), numbers)


def test_stochastic_rounding_keeps_a_small_change_that_nearest_loses() -> None:
    """bfloat16 weights near 0.02 have a step of 1.2e-4: nearest returns the base for a change of 1e-5."""
    import torch

    base = (torch.randn(40000, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16()
    change = torch.full((40000,), 1e-5)
    tuned = {"w": base.float() + change}

    def effective(rounding: str) -> float:
        merged = merge_state_dicts({"w": base}, [tuned], method="task_arithmetic", weights=[1.0], rounding=rounding)
        return float(((merged["w"].float() - base.float()) @ change) / (change @ change))

    assert effective("nearest") < 0.6
    assert effective("stochastic") == pytest.approx(1, abs=0.1)


def test_float32_output_of_a_bfloat16_base_is_not_rounded() -> None:
    import torch

    base, tuned = {"w": torch.tensor([1.0]).bfloat16()}, {"w": torch.tensor([1.0001])}
    merged = merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1], dtype=torch.float32)
    assert merged["w"].dtype is torch.float32
    assert torch.equal(merged["w"], tuned["w"])


def test_overflow_of_the_number_format_is_refused_with_the_tensor() -> None:
    import torch

    base, tuned = {"big": torch.tensor([60000.0]).half()}, {"big": torch.tensor([60064.0]).half()}
    with pytest.raises(MergeError, match=r"'big' would hold 1\.24e\+05"):
        merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1000])
