"""A direction that is kept in a shorter form gives the bits of the direction itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.runtime.merging.direction_cache import CachedEnd, CachedFloats, cached_tensor

if TYPE_CHECKING:
    import torch

STRENGTHS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 7.3, -0.3, -0.5, -0.7, -1.0, -2.3])
STRENGTHS |= st.floats(-50, 50)
DTYPES = st.sampled_from(["bfloat16", "float16"])
EXTREME = st.floats(width=16, allow_nan=False, allow_infinity=False, min_value=-4096, max_value=4096)
TINY = st.floats(width=32, allow_nan=False, min_value=-(2.0**-100), max_value=2.0**-100)
"""Far from its neighbours: a difference of two such numbers is rounded."""


def noisy(count: int, dtype: str, spread: float = 1e-3) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights as a model has them, and a fine-tune of them."""
    import torch

    generator = torch.Generator().manual_seed(count)
    base = (torch.randn(count, generator=generator) * 0.02).to(getattr(torch, dtype))
    return base, (base.float() + torch.randn(count, generator=generator) * spread).to(base.dtype)


def stepped(base: torch.Tensor, direction: torch.Tensor, strength: float) -> torch.Tensor:
    """round(base + strength * direction), from the formula."""
    import torch

    return torch.add(base.float(), direction, alpha=strength).to(base.dtype)


@settings(max_examples=300)
@given(st.lists(st.tuples(EXTREME | TINY, EXTREME | TINY), min_size=1, max_size=70), STRENGTHS, DTYPES)
def test_any_two_checkpoints_give_the_bits_of_their_difference(
    pairs: list[tuple[float, float]], strength: float, dtype: str
) -> None:
    import torch

    many = torch.zeros(256 * len(pairs))  # so that the few are rare
    base, tuned = (torch.cat([torch.tensor([p[side] for p in pairs]), many]) for side in (0, 1))
    base, tuned = base.to(getattr(torch, dtype)), tuned.to(getattr(torch, dtype))
    direction = tuned.float() - base.float()
    kept, out = cached_tensor(base, direction), torch.empty_like(base)
    assert isinstance(kept, CachedEnd)
    kept.add(base, strength, out)
    assert torch.equal(out, stepped(base, direction, strength))
    assert torch.equal(kept.rows(base, 0, len(base)), direction)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("strength", [0.1, 0.5, 0.7, 1.9, 20.0, -0.3, -0.7, -1.0])
def test_a_fine_tune_takes_half_of_the_memory_and_gives_every_bit(dtype: str, strength: float) -> None:
    import torch

    base, tuned = noisy(1_000_003, dtype)
    base[:300] = torch.randn(300).mul_(1e-30).to(base.dtype)  # differences are rounded
    direction = tuned.float() - base.float()
    kept, out = cached_tensor(base, direction), torch.empty_like(base)
    assert isinstance(kept, CachedEnd)
    assert kept.nbytes < 0.51 * direction.nbytes
    kept.add(base, strength, out)
    assert torch.equal(out, stepped(base, direction, strength))
    assert torch.equal(kept.rows(base, 100_000, 300_000), direction[100_000:300_000])
    assert torch.equal(kept.rows(base, 100, 400), direction[100:400])


@pytest.mark.parametrize(
    ("base", "direction", "strength"),
    [
        (1.5 * 2**-24, 1 + 2**-7 - 2**-23, 1.5),  # the tuned weight is 1 + 2^-7: the direction is rounded
        (1.0, 1e-9, 1e7),  # ends where it began
        (0.02, 1e-5, 300.0),  # ends between two numbers
    ],
)
def test_the_few_elements_whose_direction_is_rounded_are_kept_apart(
    base: float, direction: float, strength: float
) -> None:
    import torch

    start, change = torch.zeros(1000).bfloat16(), torch.zeros(1000)
    start[7], change[7] = base, direction
    kept, out = cached_tensor(start, change), torch.empty_like(start)
    assert isinstance(kept, CachedEnd)
    kept.add(start, strength, out)
    assert torch.equal(out, stepped(start, change, strength))
    assert not torch.equal(out, torch.lerp(start, (start + change).bfloat16(), strength))


def test_a_direction_that_ends_between_two_numbers_is_kept_as_it_is() -> None:
    import torch

    base, tuned = noisy(1000, "bfloat16")
    direction = 0.3 * (tuned.float() - base.float())
    kept, out = cached_tensor(base, direction), torch.empty_like(base)
    assert isinstance(kept, CachedFloats)
    kept.add(base, 1.7, out)
    assert torch.equal(out, stepped(base, direction, 1.7))
    assert isinstance(cached_tensor(base.float(), direction), CachedFloats)
