"""The registry of methods, and what each choice of conventions resolves to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from traitgraph.runtime.merging import MergeError, merge_state_dicts, merge_vectors
from traitgraph.runtime.merging.methods import METHODS, Steps, merge_options
from traitgraph.specs.study.merge_conventions import DIFFERENCES, PAPER, resolve
from traitgraph.specs.study.merge_methods import MERGE_METHODS, Dare, MergeMethod, Ties


class Halved(MergeMethod):
    """Half of the sum: a method of a package outside, whose steps stand apart."""

    kind: Literal["halved"] = Field("halved", description="Half of the sum.")


@pytest.fixture
def _own_methods() -> Iterator[None]:
    """Methods that a test adds are gone after it."""
    for registry in (MERGE_METHODS, METHODS):
        registry.restart()
    yield
    for registry in (MERGE_METHODS, METHODS):
        registry.restart()


@pytest.mark.usefixtures("_own_methods")
def test_a_package_outside_adds_a_method_by_two_entry_points() -> None:
    import torch

    MERGE_METHODS.register("halved", Halved)
    METHODS.register("halved", lambda options: Steps(scale=0.5))
    found = merge_vectors([{"w": torch.tensor([2.0])}], method="halved", weights=[3])
    assert found["w"].tolist() == [3.0]


@pytest.mark.usefixtures("_own_methods")
def test_a_package_outside_adds_a_method_by_one_file_and_one_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/extending/merge-method.md shows it."""
    import torch

    page = (Path(__file__).parents[3] / "docs" / "extending" / "merge-method.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    info = tmp_path / "votes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: votes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.plugins]\nvotes = votes\n")
    (tmp_path / "votes.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    vectors = [{"w": torch.tensor([4.0, 1.0, -2.0])}, {"w": torch.tensor([-9.0, 2.0, -4.0])}]
    found = merge_vectors([*vectors, vectors[0]], method="voted", weights=[1, 1, 1], density=1.0)
    assert found["w"].tolist() == [4.0, pytest.approx(4 / 3), pytest.approx(-8 / 3)], "by number, not by mass"


def test_every_method_of_the_language_runs_and_every_one_that_runs_is_in_the_language() -> None:
    assert set(PAPER) == set(MERGE_METHODS.names()) == set(METHODS.names())
    assert {name for table in DIFFERENCES.values() for name in table} <= set(PAPER)


@pytest.mark.parametrize("kind", PAPER)
def test_paper_decides_every_option_that_conventions_decide(kind: str) -> None:
    """An option that only some convention sets would have no value in the others."""
    decided = {name for table in DIFFERENCES.values() for name in table.get(kind, {})}
    assert decided <= set(PAPER[kind]) | {"trim_density", "elect"}
    resolved = resolve(merge_options(kind, {}))
    open_ = {name for name, value in resolved.model_dump().items() if value is None}
    assert open_ <= {"include", "exclude", "layer_weights", "trim_density", "elect"}


def test_an_option_that_is_given_wins_over_the_conventions() -> None:
    assert resolve(Ties(conventions="mergekit")).scope == "tensor"
    assert resolve(Ties(conventions="mergekit", scope="model")).scope == "model"
    assert resolve(Dare(conventions="mergekit", rescale="inverse")).rescale == "inverse"
    assert resolve(Dare()).conventions == "paper"


def test_ready_made_options_keep_their_conventions_and_take_only_options_that_they_have() -> None:
    made = merge_options(Ties(conventions="mergekit"), {"density": 0.3})
    assert made == Ties(conventions="mergekit", density=0.3)
    with pytest.raises(MergeError, match="ties has no option 'epsilon'"):
        merge_options(Ties(), {"epsilon": 0.1})
    with pytest.raises(MergeError, match="ties: density: Input should be less than or equal to 1"):
        merge_options(Ties(), {"density": 3})


def test_conventions_of_ready_made_options_decide_in_memory() -> None:
    import torch

    base, tuned = {"w": torch.zeros(4)}, [{"w": torch.arange(4.0)}]
    ready = merge_state_dicts(base, tuned, method=Ties(conventions="mergekit", density=1), weights=[0.5])
    assert torch.equal(ready["w"], tuned[0]["w"])  # their mean divides by the weight


def test_conventions_without_the_method_and_impossible_options_are_refused() -> None:
    with pytest.raises(MergeError, match="conventions 'peft' have no method 'slerp'; they have: task_arithmetic"):
        merge_options("slerp", {"conventions": "peft"})
    with pytest.raises(MergeError, match=r"della: keep probabilities run from -0\.05 to 0\.25"):
        merge_options("della", {"density": 0.1})
    with pytest.raises(MergeError, match="ties: exclude: 0: '\\(' is no regular expression"):
        merge_options("ties", {"exclude": ["("]})


def test_what_was_resolved_resolves_to_itself() -> None:
    for kind in PAPER:
        once = resolve(merge_options(kind, {}))
        assert resolve(once) == once == resolve(merge_options(kind, {"conventions": "paper"}))


def test_a_mean_without_an_election_is_refused() -> None:
    import torch

    with pytest.raises(MergeError, match="`mean: count` has no effect without an election"):
        merge_vectors([{"w": torch.ones(3)}], method="breadcrumbs", weights=[1], mean="count")


def test_methods_refuse_numbers_of_vectors_that_they_do_not_take() -> None:
    import torch

    vectors = [{"w": torch.ones(3)}] * 3
    with pytest.raises(MergeError, match="common_mode: at least 2 vectors are needed, 1 given"):
        merge_vectors(vectors[:1], method="common_mode", weights=[1])
    with pytest.raises(MergeError, match="slerp: 1 to 2 vectors are needed, 3 given"):
        merge_vectors(vectors, method="slerp", weights=[1, 1, 1])
    with pytest.raises(MergeError, match="slerp: needs the base's weights, and only vectors are given"):
        merge_vectors(vectors[:1], method="slerp", weights=[0.5])


@pytest.mark.parametrize(("method", "options"), [("slerp", {}), ("linear", {}), ("dare", {"normalise": True})])
def test_a_sum_of_coefficients_that_is_zero_divides_nothing(method: str, options: dict[str, Any]) -> None:
    """0.1 + 0.2 - 0.3 is not 0 in binary; a division by what rounding leaves of it would be worse than one by 0."""
    import torch

    base = {"w": torch.ones(2)}
    tuned = [{"w": torch.tensor(values)} for values in ([0.0, 1.0], [1.0, 2.0], [3.0, 1.0])]
    for weights in ([1, -1], [0.1, 0.2, -0.3])[: 1 if method == "slerp" else 2]:
        with pytest.raises(
            MergeError, match=f"{method}: it divides by the sum of the coefficients, and .* add up to 0"
        ):
            merge_state_dicts(base, tuned[: len(weights)], method=method, weights=weights, **options)


def test_where_all_coefficients_of_a_tensor_are_zero_it_stays_as_in_the_base() -> None:
    """Over the layers a coefficient may begin at 0: nothing is divided there."""
    import torch

    names = ["model.layers.0.w", "model.layers.1.w"]
    base = {name: torch.tensor([1.0, 0.0]) for name in names}
    tuned = [{name: torch.tensor(values) for name in names} for values in ([0.0, 1.0], [0.0, -1.0])]
    for method in ("slerp", "linear"):
        found = merge_state_dicts(base, tuned, method=method, weights=[1, 3], layer_weights=[0, 1])
        assert torch.equal(found[names[0]], base[names[0]])
        assert not torch.equal(found[names[1]], base[names[1]])


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0, 1e-6])
def test_slerp_is_bit_for_bit_the_model_at_each_end(sign: float) -> None:
    """Also where float32(tuned - base) lost bits, between equal, opposite and zero tensors."""
    import torch

    base = {"w": torch.linspace(-1e3, 1e3, 60).reshape(6, 10)}
    one = {"w": torch.linspace(0.1, 0.3, 60).reshape(6, 10)}
    two = {"w": one["w"] * sign}
    for tuned, weights, wanted in (
        ([one], [0], base),
        ([one], [1], one),
        ([two], [1], two),
        ([one, two], [1, 0], one),
        ([one, two], [0, 0.5], two),
    ):
        assert torch.equal(merge_state_dicts(base, tuned, method="slerp", weights=weights)["w"], wanted["w"])


def test_a_vector_of_coefficient_zero_counts_where_the_method_says_so() -> None:
    """It votes in peft's election, stands for one end of an arc, and is in the mean of all vectors."""
    import torch

    vectors = [{"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([-3.0, 1.0])}]
    elected = merge_vectors(vectors, method="ties", weights=[1, 0], density=1.0, conventions="peft")
    assert elected["w"].tolist() == [0.0, 0.5]
    assert merge_vectors(vectors, method="ties", weights=[1, 0], density=1.0)["w"].tolist() == [1.0, 1.0]
    assert merge_vectors(vectors, method="common_mode", weights=[1, 0])["w"].tolist() == [2.0, 0.0]
    base = {"w": torch.tensor([1.0, 0.0])}
    tuned = [{"w": torch.tensor([0.0, 1.0])}, {"w": torch.tensor([0.0, -1.0])}]
    assert torch.allclose(merge_state_dicts(base, tuned, method="slerp", weights=[1, 0])["w"], tuned[0]["w"])
    for method in ("slerp", "common_mode", "ties"):
        assert torch.equal(merge_state_dicts(base, tuned, method=method, weights=[0, 0])["w"], base["w"])
