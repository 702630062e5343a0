"""The reference programs of TIES, DARE (MergeLM) and the personality vectors, written out on one flattened vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.merging.parity.inputs import as_vectors, differences, our_bernoulli
from traitgraph.runtime.merging import MergeError, merge_vectors

if TYPE_CHECKING:
    import torch


def flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    import torch

    return torch.cat([each.flatten() for each in tensors.values()])


def stacked() -> torch.Tensor:
    """The three vectors flattened: [3, elements]."""
    import torch

    return torch.stack([flat(each) for each in differences()])


def authors_trim(vectors: torch.Tensor, density: float) -> torch.Tensor:
    """Keep what is at least the (n - int(d n))-th smallest magnitude of the whole vector."""
    size = vectors.shape[1]
    threshold = vectors.abs().kthvalue(size - int(size * density), dim=1, keepdim=True).values
    return vectors * (vectors.abs() >= threshold)


def mergelm_trim(vectors: torch.Tensor, drop: float) -> torch.Tensor:
    """Keep what is at least the int(n p)-th smallest magnitude of the whole vector."""
    threshold = vectors.abs().kthvalue(int(vectors.shape[1] * drop), dim=1, keepdim=True).values
    return vectors * (vectors.abs() >= threshold)


def elect_and_average(trimmed: torch.Tensor) -> torch.Tensor:
    """Sign of the sum, draws to the majority of all signs, mean over the agreeing."""
    import torch

    sign = torch.sign(trimmed.sum(0))
    sign[sign == 0] = torch.sign(sign.sum())
    rows = torch.where(sign > 0, trimmed > 0, trimmed < 0)
    chosen = trimmed * rows
    return chosen.sum(0) / (chosen != 0).sum(0).clamp(min=1)


def drawn(density: float) -> torch.Tensor:
    """The three vectors after DARE with our masks."""
    import torch

    draws = {name: our_bernoulli(5, name) for name in differences()[0]}
    dropped = [
        {name: t * draws[name](torch.full_like(t, density)) / density for name, t in each.items()}
        for each in differences()
    ]
    return torch.stack([flat(each) for each in dropped])


def merged(method: str, conventions: str, **options: Any) -> torch.Tensor:
    return flat(
        merge_vectors(as_vectors(differences()), method=method, weights=[1, 1, 1], conventions=conventions, **options)
    )


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    import torch

    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("conventions", ["paper", "authors"])
def test_ties_is_the_authors_program(conventions: str, density: float) -> None:
    same(
        merged("ties", conventions, density=density, scale=0.8),
        0.8 * elect_and_average(authors_trim(stacked(), density)),
    )


def test_ties_of_mergelm_and_of_the_personality_vectors_counts_what_it_drops() -> None:
    expected = elect_and_average(mergelm_trim(stacked(), 0.8))
    same(merged("ties", "mergelm", density=0.2), expected)
    same(merged("ties", "personality-vector-repo"), expected)


def test_dare_is_drop_and_rescale() -> None:
    same(merged("dare", "paper", density=0.4, seed=5), drawn(0.4).sum(0))


def test_dare_ties_of_the_paper_elects_without_a_second_trim() -> None:
    same(merged("dare_ties", "paper", density=0.5, seed=5), elect_and_average(drawn(0.5)))


def test_dare_ties_of_mergelm_trims_again() -> None:
    same(merged("dare_ties", "mergelm", density=0.5, seed=5), elect_and_average(mergelm_trim(drawn(0.5), 0.8)))


def test_dare_ties_of_the_personality_vector_program_never_elects() -> None:
    found = merge_vectors(
        as_vectors(differences()), method="dare_ties", weights=[0.3] * 3, conventions="personality-vector-repo", seed=5
    )
    same(flat(found), 0.3 * drawn(0.5).sum(0))
    with pytest.raises(MergeError, match="ignore the coefficients of single vectors"):
        merge_vectors(
            as_vectors(differences()),
            method="dare_ties",
            weights=[0.3, 0.2, 0.1],
            conventions="personality-vector-repo",
        )


def test_ties_of_the_personality_vector_program_refuses_another_density() -> None:
    with pytest.raises(MergeError, match=r"density 0\.2 whatever is asked"):
        merged("ties", "personality-vector-repo", density=0.5)


def test_common_mode_removal_takes_the_mean_vector_out() -> None:
    import torch

    vectors, weights = stacked(), torch.tensor([0.7, 0.0, -0.3])
    found = merge_vectors(as_vectors(differences()), method="common_mode", weights=weights.tolist())
    same(flat(found), weights @ (vectors - vectors.mean(0)))


def test_breadcrumbs_of_one_tensor_keeps_the_middle_magnitudes() -> None:
    import torch

    vector = torch.tensor([5.0, -1.0, 4.0, 0.5, -3.0, 2.0, 0.1, -0.2, 1.5, 0.3])
    found = merge_vectors([{"w": vector}], method="breadcrumbs", weights=[1], density=0.5, outliers=0.2)["w"]
    same(found, torch.tensor([0, -1.0, 0, 0.5, -3.0, 2.0, 0, 0, 1.5, 0]))


def test_della_divides_each_element_by_its_own_keep_probability() -> None:
    import torch

    from traitgraph.runtime.tensors.masks import random_shares

    vector = differences()[0]["layers.0.w"]
    ranks = vector.abs().argsort(1).argsort(1)
    chance = 0.5 - 0.2 + 2 * 0.2 * ranks / (vector.shape[1] - 1)
    kept = random_shares(5, "vector 0", "layers.0.w", 0, vector.numel()).reshape(vector.shape) < chance
    found = merge_vectors(
        as_vectors(differences())[:1], method="della_linear", weights=[1], density=0.5, epsilon=0.2, seed=5
    )
    torch.testing.assert_close(found["layers.0.w"], torch.where(kept, vector / chance, 0.0), atol=1e-6, rtol=1e-5)
