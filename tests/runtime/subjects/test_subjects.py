from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import Bench, load, same_bits, save_adapter, save_fine_tune, weights
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.runtime.subjects.workbench import BaseChangedError


def opened(bench: Bench, base: Path, dtype: str = "float32") -> LoadedModel:
    return open_model(bench.context("assess", bench.assess_params(base, dtype)), bench.ref(base, dtype))


def on_subject(bench: Bench, base: Path, loaded: LoadedModel, look: Any = weights, **inputs: tuple[str, ...]) -> Any:
    """What `look` sees of the model while the subject is in place."""
    params = bench.assess_params(base)
    with subject(bench.context("assess", params, **inputs), loaded, params):
        return look(loaded.model)


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.arange(20)[None]).logits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_alpha_one_of_a_full_vector_is_the_fine_tune_bit_for_bit(
    tmp_path: Path, bench: Bench, base_folder: Path, dtype: str
) -> None:
    base = base_folder
    if dtype == "bfloat16":
        base = tmp_path / "base"
        load(base_folder, dtype).save_pretrained(base)
        for file in base_folder.glob("token*"):
            (base / file.name).write_bytes(file.read_bytes())
    tuned = save_fine_tune(base, tmp_path / "tuned", seed=1, dtype=dtype)
    loaded = opened(bench, base, dtype)
    key = bench.merge(base, [bench.vector(base, "model", tuned, dtype)], ["1"], dtype=dtype)
    params = bench.assess_params(base, dtype)
    with subject(bench.context("assess", params, merge=(key,)), loaded, params):
        assert same_bits(weights(loaded.model), weights(load(tuned, dtype)))


def test_alpha_one_of_a_low_rank_vector_scores_as_the_adapter(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import torch

    adapter = save_adapter(base_folder, tmp_path / "adapter", seed=1)
    tuned = bench.publish("adapter", adapter)
    merged = bench.merge(base_folder, [bench.vector(base_folder, "adapter", adapter)], ["1"])
    loaded = opened(bench, base_folder)
    by_adapter = on_subject(bench, base_folder, loaded, logits, tuned=(tuned,))
    in_place = on_subject(bench, base_folder, loaded, logits, merge=(merged,))
    base = on_subject(bench, base_folder, loaded, logits)
    torch.testing.assert_close(in_place, by_adapter, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(base, by_adapter, atol=1e-2)


def test_base_is_bit_identical_between_and_after_subjects(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    adapter = save_adapter(base_folder, tmp_path / "adapter", seed=1)
    tuned = bench.publish("adapter", adapter)
    full = bench.publish("model", save_fine_tune(base_folder, tmp_path / "full", seed=2))
    vector = bench.vector(base_folder, "adapter", adapter)
    half, minus = (bench.merge(base_folder, [vector], [alpha]) for alpha in ("0.5", "-1"))
    loaded = opened(bench, base_folder)
    before = weights(loaded.model)
    for inputs in (
        {"merge": (half,)},
        {"tuned": (tuned,)},
        {"merge": (minus,)},
        {"tuned": (full,)},
        {"merge": (half,)},
    ):
        assert not same_bits(on_subject(bench, base_folder, loaded, lambda model: weights(model), **inputs), before)
        assert same_bits(on_subject(bench, base_folder, loaded), before)
    on_subject(bench, base_folder, loaded, merge=(minus,))
    bench.session.clear()
    assert same_bits(weights(loaded.model), before)


def test_base_is_restored_when_an_assessment_fails(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    adapter = save_adapter(base_folder, tmp_path / "adapter", seed=1)
    merged = bench.merge(base_folder, [bench.vector(base_folder, "adapter", adapter)], ["2"])
    loaded = opened(bench, base_folder)
    before = weights(loaded.model)

    def fail(model: Any) -> None:
        assert not same_bits(weights(model), before)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        on_subject(bench, base_folder, loaded, fail, merge=(merged,))
    assert same_bits(weights(loaded.model), before)


def test_a_subject_is_the_same_whatever_was_in_place_before(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    vectors = [
        bench.vector(base_folder, "adapter", save_adapter(base_folder, tmp_path / str(s), seed=s)) for s in (1, 2)
    ]
    loaded = opened(bench, base_folder)
    keys = [bench.merge(base_folder, vectors, ["0.3", str(alpha)]) for alpha in range(1, 4)]
    first = [on_subject(bench, base_folder, loaded, merge=(key,)) for key in keys]
    again = [on_subject(bench, base_folder, loaded, merge=(key,)) for key in reversed(keys)]
    assert all(same_bits(a, b) for a, b in zip(first, reversed(again), strict=True))


def test_consecutive_benchmarks_of_one_subject_apply_its_recipe_once(
    tmp_path: Path, bench: Bench, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from traitgraph.runtime.subjects.workbench import Workbench

    merged = bench.merge(
        base_folder, [bench.vector(base_folder, "adapter", save_adapter(base_folder, tmp_path / "a", seed=1))], ["1"]
    )
    applied = []
    original = Workbench.apply_merge

    def counted(self: Workbench, *given: Any) -> Any:
        applied.append(given[0])
        return original(self, *given)

    monkeypatch.setattr(Workbench, "apply_merge", counted)
    loaded = opened(bench, base_folder)
    for _ in range(3):
        on_subject(bench, base_folder, loaded, merge=(merged,))
    assert applied == [merged]


def test_a_base_that_was_changed_by_others_is_noticed(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import torch

    merged = bench.merge(
        base_folder, [bench.vector(base_folder, "adapter", save_adapter(base_folder, tmp_path / "a", seed=1))], ["1"]
    )
    loaded = opened(bench, base_folder)
    on_subject(bench, base_folder, loaded, merge=(merged,))
    with torch.no_grad():
        loaded.model.model.norm.weight[3] += 1e-6
    with pytest.raises(BaseChangedError):
        on_subject(bench, base_folder, loaded)
    with torch.no_grad():
        loaded.model.model.norm.weight[3] = 1.0
