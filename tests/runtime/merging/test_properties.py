"""Rules that every merge keeps, for arbitrary weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.merging.parity.inputs import WEIGHTS, base_and_tuned
from traitgraph.runtime.merging import MergeError, merge_state_dicts, merge_vectors
from traitgraph.specs.study.merge_conventions import PAPER

DTYPES = ["float32", "bfloat16", "float16"]
NUMBERS = st.floats(-1000, 1000, width=16)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30)
WIDE = st.lists(st.tuples(*[st.floats(-(2.0**100), 2.0**100, width=32)] * 2), min_size=1, max_size=30)
STOCHASTIC: dict[str, dict[str, Any]] = {"dare": {"seed": 3}, "dare_ties": {"seed": 3}, "della": {"seed": 3}}


def one(values: list[tuple[float, float]], dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch

    base, tuned = (torch.tensor([pair[side] for pair in values]).to(getattr(torch, dtype)) for side in (0, 1))
    return {"w": base}, {"w": tuned}


@settings(max_examples=60)
@given(PAIRS, st.sampled_from(DTYPES), st.sampled_from([name for name in PAPER if name != "common_mode"]))
def test_alpha_zero_is_the_base_bit_for_bit(values: list[tuple[float, float]], dtype: str, method: str) -> None:
    import torch

    base, tuned = one(values, dtype)
    merged = merge_state_dicts(base, [tuned], method=method, weights=[0])["w"]
    assert torch.equal(merged.view(torch.uint8), base["w"].view(torch.uint8))


@settings(max_examples=300)
@given(PAIRS | WIDE, st.sampled_from(DTYPES[:2]))
def test_alpha_one_of_one_vector_is_the_fine_tune_bit_for_bit(values: list[tuple[float, float]], dtype: str) -> None:
    import torch

    base, tuned = one(values, dtype)
    assert torch.equal(merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1])["w"], tuned["w"])


@settings(max_examples=60)
@given(PAIRS, st.floats(-2, 2, width=16))
def test_ties_of_one_vector_at_density_one_is_task_arithmetic(values: list[tuple[float, float]], alpha: float) -> None:
    import torch

    vector = {"w": torch.tensor([a - b for a, b in values])}
    ties = merge_vectors([vector], method="ties", weights=[alpha], density=1.0)
    plain = merge_vectors([vector], method="task_arithmetic", weights=[alpha])
    assert all(torch.equal(ties[name], plain[name]) for name in plain)


def test_mean_of_dare_over_seeds_is_its_input() -> None:
    import torch

    vector, draws = torch.linspace(-1, 1, 64), 3000
    mean = sum(
        merge_vectors([{"w": vector}], method="dare", weights=[1], density=0.3, seed=seed)["w"] for seed in range(draws)
    )
    error = (mean / draws - vector).abs()
    assert bool((error <= 5 * vector.abs() * (0.7 / 0.3 / draws) ** 0.5).all())


def test_mean_of_della_over_seeds_is_its_input() -> None:
    import torch

    vector, draws = torch.linspace(-1, 1, 64)[None], 3000
    mean = sum(
        merge_vectors([{"w": vector}], method="della_linear", weights=[1], density=0.5, seed=seed)["w"]
        for seed in range(draws)
    )
    assert bool(((mean / draws - vector).abs() <= 5 * vector.abs() * (1 / 0.35 / draws) ** 0.5).all())


@pytest.mark.parametrize("method", PAPER)
def test_order_of_tensors_changes_nothing(method: str) -> None:
    import torch

    base, tuned = base_and_tuned(2)
    options = {"method": method, "weights": WEIGHTS[:2], **STOCHASTIC.get(method, {})}
    merged = merge_state_dicts(base, tuned, **options)
    turned = merge_state_dicts(
        dict(reversed(base.items())), [dict(reversed(each.items())) for each in tuned], **options
    )
    assert all(torch.equal(merged[name], turned[name]) for name in base)


@pytest.mark.parametrize("method", [name for name in PAPER if name != "slerp"])
def test_order_of_vectors_changes_nothing_but_the_last_bit_of_sums(method: str) -> None:
    import torch

    base, tuned = base_and_tuned()
    options: dict[str, Any] = {"method": method, **STOCHASTIC.get(method, {})}
    merged = merge_state_dicts(base, tuned, weights=WEIGHTS, **options)
    turned = merge_state_dicts(base, tuned[::-1], weights=WEIGHTS[::-1], **options)
    for name in base:
        torch.testing.assert_close(merged[name], turned[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", PAPER)
def test_threads_change_nothing(method: str) -> None:
    import torch

    draw = torch.Generator().manual_seed(1)
    base = {"w": torch.randn(300, 1000, generator=draw)}
    tuned = [{"w": base["w"] + torch.randn(300, 1000, generator=draw)} for _ in range(2)]
    before, results = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(merge_state_dicts(base, tuned, method=method, weights=[0.7, 0.4]))
    torch.set_num_threads(before)
    assert torch.equal(results[0]["w"], results[1]["w"])


@pytest.mark.parametrize("method", [name for name in PAPER if name not in ("linear", "slerp")])
def test_negated_coefficients_negate_the_change(method: str) -> None:
    """Exactly where no election is a draw: alpha < 0 takes the trait away as far as alpha > 0 adds it."""
    import torch

    base, tuned = base_and_tuned()
    vectors = [{name: each[name] - base[name] for name in base} for each in tuned]
    options: dict[str, Any] = {"method": method, **STOCHASTIC.get(method, {})}
    plus = merge_vectors(vectors, weights=WEIGHTS, **options)
    minus = merge_vectors(vectors, weights=[-w for w in WEIGHTS], **options)
    assert all(torch.equal(plus[name], -minus[name]) for name in plus)


@pytest.mark.parametrize("method", [name for name in PAPER if name not in ("linear", "slerp", "common_mode")])
def test_alpha_of_a_single_vector_scales_its_change(method: str) -> None:
    import torch

    base, (tuned,) = base_and_tuned(1)
    vector = {name: tuned[name] - base[name] for name in base}
    options: dict[str, Any] = {"method": method, **STOCHASTIC.get(method, {})}
    half, full = (merge_vectors([vector], weights=[alpha], **options) for alpha in (0.5, 1.0))
    assert all(torch.equal(half[name], full[name] / 2) for name in full)
    assert any(full[name].any() for name in full)


def test_mergekits_ties_loses_the_alpha_of_a_single_vector() -> None:
    """The trap of that convention, kept for parity: dividing by the sum of weights cancels alpha and its sign."""
    import torch

    vector = {"w": torch.tensor([1.0, -2.0])}
    for alpha in (0.1, 2.0, -1.0):
        found = merge_vectors([vector], method="ties", weights=[alpha], density=1.0, conventions="mergekit")
        assert torch.equal(found["w"], vector["w"])


def test_arguments_are_not_changed() -> None:
    import torch

    base, tuned = base_and_tuned()
    copies = [{name: tensor.clone() for name, tensor in each.items()} for each in (base, *tuned)]
    for method in PAPER:
        count = 2 if method == "slerp" else 3
        merge_state_dicts(base, tuned[:count], method=method, weights=WEIGHTS[:count])
    assert all(
        torch.equal(tensor, copy[name])
        for each, copy in zip((base, *tuned), copies, strict=True)
        for name, tensor in each.items()
    )


def test_excluded_tensors_stay_as_in_the_base() -> None:
    import torch

    base, tuned = base_and_tuned()
    merged = merge_state_dicts(
        base, tuned, method="task_arithmetic", weights=WEIGHTS, exclude=(r"norm$", r"layers\.1\.")
    )
    assert torch.equal(merged["norm"], base["norm"])
    assert torch.equal(merged["layers.1.w"], base["layers.1.w"])
    assert not torch.equal(merged["layers.0.w"], base["layers.0.w"])
    only = merge_state_dicts(base, tuned, method="task_arithmetic", weights=WEIGHTS, include=("norm",))
    assert torch.equal(only["layers.0.w"], base["layers.0.w"])
    assert not torch.equal(only["norm"], base["norm"])


def test_an_include_that_finds_no_tensor_is_refused() -> None:
    import torch

    with pytest.raises(MergeError, match="include: 'mpl' finds no tensor of the vectors"):
        merge_vectors([{"layers.0.mlp.w": torch.ones(2)}], method="dare", weights=[1], include=["mlp", "mpl"])


def test_an_exclude_that_leaves_no_tensor_is_refused() -> None:
    import torch

    with pytest.raises(MergeError, match=r"exclude: 'mlp', 'norm' leaves no tensor of the vectors to change"):
        merge_vectors([{"mlp.w": torch.ones(2)}], method="dare", weights=[1], exclude=["mlp", "norm"])


def test_layer_weights_run_from_the_first_layer_to_the_last() -> None:
    import torch

    vector = {f"model.layers.{layer}.w": torch.ones(2) for layer in range(5)}
    found = merge_vectors([vector], method="task_arithmetic", weights=[2.0], layer_weights=(0.0, 1.0))
    assert [float(found[name][0]) for name in vector] == [0.0, 0.5, 1.0, 1.5, 2.0]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown method": ({"method": "tise"}, "unknown merge method 'tise'; there are: task_arithmetic"),
    "unknown option": ({"method": "dare", "elect": "mass"}, "dare has no option 'elect'; it has: conventions"),
    "density out of range": (
        {"method": "ties", "density": 1.5},
        "ties: density: Input should be less than or equal to 1",
    ),
    "unknown conventions": ({"method": "ties", "conventions": "mine"}, "ties: conventions: Input should be 'paper'"),
    "no such method there": (
        {"method": "magnitude_prune", "conventions": "mergekit"},
        "conventions 'mergekit' have no method 'magnitude_prune'; they have: task_arithmetic",
    ),
    "too few vectors": ({"method": "common_mode", "weights": [1.0]}, "1 vectors and|3 vectors and 1 coefficients"),
    "della outside": ({"method": "della", "density": 0.9, "epsilon": 0.2}, r"run from 0\.7 to 1\.1"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_wrong_options_are_refused_with_what_there_is(case: tuple[dict[str, Any], str]) -> None:
    given_options, message = case
    base, tuned = base_and_tuned()
    with pytest.raises(MergeError, match=message):
        merge_state_dicts(base, tuned, **{"weights": WEIGHTS, **given_options})


def test_inputs_that_do_not_fit_are_refused_with_the_tensor() -> None:
    import torch

    def refused(base: Any, tuned: Any, message: str) -> None:
        with pytest.raises(MergeError, match=message):
            merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1])

    base = {"w": torch.zeros(2, 3)}
    refused(base, {"w": torch.zeros(3, 3)}, r"'w' has shape \[2, 3\] in the base, \[3, 3\]")
    refused(base, {}, "'w' is missing in the fine-tune")
    refused(base, {"w": torch.zeros(2, 3), "b": torch.zeros(1)}, "'b' is missing in the base")
    refused(base, {"w": torch.zeros(2, 3, dtype=torch.int8)}, r"'w' is torch.float32 in the base and torch.int8")
    refused({"n": torch.tensor([1])}, {"n": torch.tensor([2])}, "'n' is torch.int64 and differs")
    refused(base, {"w": torch.full((2, 3), float("nan"))}, "'w' would hold NaN")


def test_what_are_no_numbers_and_no_tensors_is_refused_by_name() -> None:
    import torch

    base = {"w": torch.zeros(2)}

    def refused(message: str, start: Any = base, tuned: Any = (base,), weights: Any = (1,), **options: Any) -> None:
        with pytest.raises(MergeError, match=message):
            merge_state_dicts(start, tuned, method="task_arithmetic", weights=weights, **options)

    for weights in (1.0, [[0, 1]], "1", [None], ["a"], torch.tensor(1.0)):
        refused("weights: a list with one number for each vector is needed, not ", weights=weights)
    for number in (float("nan"), float("inf")):
        refused(f"a coefficient is {number}: finite numbers are needed", weights=[number])
    refused("there is nothing to merge: no vector and no fine-tune is given", tuned=[], weights=[])
    for dtype in (torch.int8, torch.float8_e4m3fn, "float8_e4m3fn", "w"):
        refused("dtype: the result is float32, bfloat16, float16 or float64, not ", dtype=dtype)
    refused("fine-tune 0 is a str: a mapping from names to tensors is needed", tuned=base)
    refused("'w' of the base is a list: a torch tensor is needed", {"w": [0.0, 0.0]})
    refused("'w' of fine-tune 0 is a ndarray: a torch tensor is needed", tuned=[{"w": torch.zeros(2).numpy()}])
    refused("'w' of fine-tune 0 is on the device meta", tuned=[{"w": torch.zeros(2, device="meta")}])
    refused("'w' of the base is sparse or quantised", {"w": torch.zeros(2).to_sparse()})
    with pytest.raises(MergeError, match="vector 1 is a PosixPath: a mapping"):
        merge_vectors([base, Path("vector")], method="ties", weights=[1, 1])  # type: ignore[list-item]
    with pytest.raises(MergeError, match=r"tensor 'w' of vector 0 is torch\.int64: a difference is float32,"):
        merge_vectors([{"w": torch.arange(2)}], method="ties", weights=[1])


def test_numbers_of_arrays_and_names_of_formats_are_taken() -> None:
    import torch

    base, tuned = {"w": torch.zeros(2)}, ({"w": torch.full((2,), value)} for value in (1.0, 2.0))
    found = merge_state_dicts(base, tuned, method="dare", weights=torch.ones(2), density=1, dtype="bfloat16")  # type: ignore[arg-type]
    assert found["w"].dtype is torch.bfloat16
    assert found["w"].tolist() == [3.0, 3.0]


def test_float8_is_copied_where_it_is_equal_and_never_subtracted() -> None:
    """Its numbers mean nothing without the scales that stand beside them."""
    import torch

    base, tuned = ({"q": torch.tensor([value]).to(torch.float8_e4m3fn)} for value in (1.0, 2.0))
    same = {"q": base["q"].clone()}
    assert merge_state_dicts(base, [same], method="ties", weights=[0.5])["q"].dtype is torch.float8_e4m3fn
    with pytest.raises(
        MergeError, match=r"'q' is torch\.float8_e4m3fn and differs: integers, float8 and packed weights"
    ):
        merge_state_dicts(base, [tuned], method="ties", weights=[0.5])


def test_float64_keeps_its_format_and_the_precision_of_float32() -> None:
    """As the documentation says; alpha 0 still leaves every bit of the base."""
    import torch

    base, tuned = {"w": torch.tensor([0.1, 3.0]).double() / 3}, {"w": torch.tensor([0.7, 1.0]).double() / 3}
    assert torch.equal(merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[0])["w"], base["w"])
    merged = merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1])["w"]
    assert merged.dtype is torch.float64
    assert torch.equal(merged.float(), tuned["w"].float())


def test_integers_that_are_equal_are_copied() -> None:
    import torch

    base, tuned = {"n": torch.arange(3), "w": torch.zeros(1)}, {"n": torch.arange(3), "w": torch.ones(1)}
    merged = merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[0.5], dtype=torch.bfloat16)
    assert torch.equal(merged["n"], base["n"])
    assert merged["w"].dtype is torch.bfloat16
