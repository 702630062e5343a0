from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.runtime.merging import MergeError, merge_vectors
from traitgraph.runtime.tensors.selection import Selection, keep_at_least, keep_at_most, kth_largest, magnitude_bits

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=200)
@given(st.lists(FLOATS, min_size=1, max_size=40), st.data())
def test_counted_threshold_is_the_sorted_one(values: list[float], data: st.DataObject) -> None:
    import torch

    tensor = torch.tensor(values)
    k = data.draw(st.integers(1, len(values)))
    cut = kth_largest(lambda: torch.split(tensor, 7), k)
    threshold = sorted((abs(value) for value in tensor.tolist()), reverse=True)[k - 1]
    assert torch.tensor([cut.bits], dtype=torch.int32).view(torch.float32).item() == threshold
    assert cut.above == int((tensor.abs() > threshold).sum())
    assert cut.equal == int((tensor.abs() == threshold).sum())


@settings(max_examples=100)
@given(st.lists(FLOATS, min_size=1, max_size=20), FLOATS)
def test_masks_by_bits_are_comparisons_of_magnitudes(values: list[float], edge: float) -> None:
    import torch

    tensor, bits = torch.tensor(values), int(magnitude_bits(torch.tensor([edge]))[0])
    limit = torch.tensor(edge).abs()
    assert torch.equal(keep_at_least(tensor.clone(), bits), torch.where(tensor.abs() >= limit, tensor, 0.0))
    assert torch.equal(keep_at_most(tensor.clone(), bits), torch.where(tensor.abs() <= limit, tensor, 0.0))


def kept(values: list[float], density: float, kept: str, scope: str = "model") -> list[float]:
    import torch

    vector = {"a": torch.tensor(values[:3]), "b": torch.tensor(values[3:])}
    found = merge_vectors([vector], method="magnitude_prune", weights=[1], density=density, kept=kept, scope=scope)
    return [*found["a"].tolist(), *found["b"].tolist()]


def test_equals_at_the_cut_are_all_kept_by_threshold_and_the_first_ones_by_exact_count() -> None:
    values = [2.0, -1.0, 1.0, 1.0, 0.5, -1.0]
    assert kept(values, 0.5, "threshold") == [2.0, -1.0, 1.0, 1.0, 0.0, -1.0]
    assert kept(values, 0.5, "exact") == [2.0, -1.0, 1.0, 0.0, 0.0, 0.0]
    assert kept(values, 0.67, "exact") == [2.0, -1.0, 1.0, 1.0, 0.0, 0.0]


def test_scope_decides_whether_a_tensor_can_lose_everything() -> None:
    values = [9.0, 8.0, 7.0, 1.0, 2.0, 3.0]
    assert kept(values, 0.5, "exact", "model") == [9.0, 8.0, 7.0, 0.0, 0.0, 0.0]
    assert kept(values, 0.34, "exact", "tensor") == [9.0, 0.0, 0.0, 0.0, 0.0, 3.0]


@pytest.mark.parametrize(("density", "expected"), [(1.0, [2.0, -1.0, 1.0, 1.0, 0.5, -1.0]), (0.0, [0.0] * 6)])
@pytest.mark.parametrize("rule", ["threshold", "exact"])
def test_density_one_keeps_all_and_density_zero_nothing(density: float, expected: list[float], rule: str) -> None:
    assert kept([2.0, -1.0, 1.0, 1.0, 0.5, -1.0], density, rule) == expected


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    with pytest.raises(MergeError, match="NaN or infinity"):
        kept([1.0, bad, 2.0, 3.0], 0.5, "threshold")


@settings(max_examples=200)
@given(st.lists(FLOATS, min_size=1, max_size=60), st.integers(0, 60), st.data())
def test_a_guess_on_the_way_changes_nothing(values: list[float], seen: int, data: st.DataObject) -> None:
    """Right or wrong, guessed early or late: the cut is that of two full rounds."""
    import torch

    tensor = torch.tensor(values)
    k = data.draw(st.integers(1, len(values)))
    selection = Selection(k, len(values))
    before, after = tensor[:seen], tensor[seen:]
    selection.see(before)
    selection.guess()
    selection.see(after)
    right = selection.settle()
    selection.see_again(before)
    if not right:
        selection.see_again(after)
    assert selection.cut() == kth_largest(lambda: [tensor], k)
