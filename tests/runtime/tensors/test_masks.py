from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

import pytest

from traitgraph.runtime.tensors.masks import HALF, ONE, keep_below, random_bits, random_shares


def test_bits_are_frozen() -> None:
    """A changed digest changes every DARE merge ever recorded: it needs a new version of the job kind."""
    import torch

    bits = random_bits(0, "vector", "model.layers.0.mlp.up_proj.weight", 0, 1000)
    assert bits[:4].tolist() == FROZEN_FIRST
    assert blake2b(bits.numpy().tobytes(), digest_size=8).hexdigest() == FROZEN_DIGEST
    far = random_bits(3, "another", "w", (1 << 32) - 3, 6)
    assert torch.equal(far[3:], random_bits(3, "another", "w", 1 << 32, 3))
    assert far.tolist() == FROZEN_FAR


FROZEN_FIRST = [-209494993, 766460024, -629464819, -423653501]
FROZEN_DIGEST = "86b2c28e76202199"
FROZEN_FAR = [-333530869, -767168319, 157866037, -887238012, -698487329, 614493404]


@pytest.mark.parametrize("cuts", [[0, 1000], [0, 1, 500, 1000], [0, 333, 334, 1000]])
def test_bits_do_not_depend_on_pieces(cuts: list[int]) -> None:
    import torch

    parts = [random_bits(1, "v", "w", a, b - a) for a, b in pairwise(cuts)]
    assert torch.equal(torch.cat(parts), random_bits(1, "v", "w", 0, 1000))


def test_bits_do_not_depend_on_threads() -> None:
    import torch

    before = torch.get_num_threads()
    one = random_bits(1, "v", "w", 0, 1 << 18)
    torch.set_num_threads(2)
    two = random_bits(1, "v", "w", 0, 1 << 18)
    torch.set_num_threads(before)
    assert torch.equal(one, two)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.2, 0.5, 0.9, 1.0])
def test_share_kept_is_the_density(density: float) -> None:
    import torch

    size = 1 << 20
    kept = keep_below(torch.ones(size), random_bits(0, "v", "w", 0, size), density)
    assert float(kept.mean()) == pytest.approx(density, abs=4 * (density * (1 - density) / size) ** 0.5)


def test_masks_of_neighbours_vectors_tensors_and_seeds_are_independent() -> None:
    """Correlations of 0/1 masks stay within five standard errors of zero, and runs have the right length."""
    import torch

    size = 1 << 19
    masks = [
        (random_bits(seed, vector, tensor, 0, size) < 0).float() - 0.5
        for seed, vector, tensor in ((0, "a", "w"), (1, "a", "w"), (0, "b", "w"), (0, "a", "x"))
    ]
    masks.append(masks[0].roll(1))
    masks.append(masks[0].roll(4096))
    found = torch.corrcoef(torch.stack(masks)) - torch.eye(len(masks))
    assert float(found.abs().max()) < 5 / size**0.5
    flips = (masks[0][1:] != masks[0][:-1]).float().mean()
    assert float(flips) == pytest.approx(0.5, abs=5 * 0.5 / size**0.5)


def test_values_of_bits_are_uniform() -> None:
    import torch

    size, bins = 1 << 20, 256
    counts = torch.bincount((random_bits(2, "v", "w", 0, size) + HALF) // (ONE // bins), minlength=bins).double()
    chi_square = float(((counts - size / bins) ** 2 / (size / bins)).sum())
    assert abs(chi_square - (bins - 1)) < 5 * (2 * (bins - 1)) ** 0.5


def test_shares_are_the_bits_as_numbers() -> None:
    bits, shares = random_bits(1, "v", "w", 0, 1000), random_shares(1, "v", "w", 0, 1000)
    assert float(((bits.double() + HALF) / ONE - shares).abs().max()) < 1e-7
    assert 0 <= float(shares.min()) < 0.01 < 0.99 < float(shares.max()) <= 1


def test_keeping_leaves_values_untouched_and_zeroes_the_others() -> None:
    import torch

    values = torch.tensor([1.5, -2.5, float("inf"), -0.0, 3.0])
    bits = torch.tensor([-HALF, -1, 0, HALF - 1, -5], dtype=torch.int32)
    assert keep_below(values, bits, 0.5).tolist() == [1.5, -2.5, 0.0, 0.0, 3.0]
