"""How a change reaches the model: unmerged beside bfloat16 weights, scaled from a kept direction, onto a domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import Bench, load, same_bits, save_adapter, save_fine_tune, weights
from tests.runtime.subjects.test_subjects import logits, on_subject, opened
from traitgraph.runtime.merging.composition import Composition
from traitgraph.specs.jobs.params import VectorParams
from traitgraph.specs.study.merge_methods import Dare, Slerp, TaskArithmetic, Ties


def half_base(base: Path, folder: Path) -> Path:
    load(base, "bfloat16").save_pretrained(folder)
    for file in base.glob("token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_low_rank_change_of_a_bfloat16_base_touches_no_weight(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    base = half_base(base_folder, tmp_path / "half")
    adapter = save_adapter(base, tmp_path / "a", seed=1)
    vector = bench.vector(base, "adapter", adapter, "bfloat16")
    key = bench.merge(base, [vector], ["1"], dtype="bfloat16")
    assert bench.record("merge", key, "recipe.json")["application"] == "adapter"
    assert bench.record("merge", key, "recipe.json")["warnings"] == []
    loaded = opened(bench, base, "bfloat16")
    before = weights(loaded.model)
    assert same_bits(on_subject(bench, base, loaded, merge=(key,)), before)


def test_unmerged_change_acts_as_the_adapter_at_every_strength(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    """On float32 weights, where peft's own merged model says what is right to the last digits."""
    import torch

    adapters = [save_adapter(base_folder, tmp_path / f"a{seed}", seed=seed) for seed in (1, 2)]
    vectors = [bench.vector(base_folder, "adapter", each) for each in adapters]
    key = bench.merge(base_folder, vectors, ["0.5", "-2"])
    loaded = opened(bench, base_folder)
    expected = on_subject(bench, base_folder, loaded, logits, merge=(key,))
    on_subject(bench, base_folder, loaded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("traitgraph.runtime.merging.recipe.Recipe.application", "adapter")
        unmerged = on_subject(bench, base_folder, loaded, logits, merge=(key,))
    torch.testing.assert_close(unmerged, expected, atol=2e-5, rtol=1e-5)
    after = on_subject(bench, base_folder, loaded, logits)
    assert not torch.allclose(after, expected, atol=1e-2)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
def test_unmerged_change_of_an_embedding_is_the_merged_one(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import torch

    from tests.runtime.bench import untied

    base = untied(base_folder, tmp_path / "untied")
    for file in base_folder.glob("token*"):
        (base / file.name).write_bytes(file.read_bytes())
    adapter = save_adapter(base, tmp_path / "a", seed=1, target_modules=["embed_tokens", "q_proj"])
    key = bench.merge(base, [bench.vector(base, "adapter", adapter)], ["0.8"])
    loaded = opened(bench, base)
    expected = on_subject(bench, base, loaded, logits, merge=(key,))
    on_subject(bench, base, loaded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("traitgraph.runtime.merging.recipe.Recipe.application", "adapter")
        torch.testing.assert_close(
            on_subject(bench, base, loaded, logits, merge=(key,)), expected, atol=2e-5, rtol=1e-5
        )


def test_a_small_alpha_survives_beside_bfloat16_weights_and_is_lost_in_them(
    tmp_path: Path, bench: Bench, base_folder: Path
) -> None:
    """The reason for applying low-rank changes unmerged below float32."""
    base = half_base(base_folder, tmp_path / "half")
    vector = bench.vector(base, "adapter", save_adapter(base, tmp_path / "a", seed=1), "bfloat16")
    loaded = opened(bench, base, "bfloat16")
    key = bench.merge(base, [vector], ["0.01"], dtype="bfloat16")
    kept = bench.merge(base, [vector], ["0.01"], dtype="bfloat16", keep="weights")
    lost = bench.record("merge", kept, "recipe.json")
    assert lost["application"] == "in place"
    assert "survives rounding to bfloat16" in lost["warnings"][0]
    assert bench.record("merge", key, "recipe.json")["warnings"] == []
    unmerged = on_subject(bench, base, loaded, logits, merge=(key,))
    assert unmerged.ne(on_subject(bench, base, loaded, logits)).any()


@pytest.mark.parametrize(
    ("method", "count", "dtype"),
    [
        (Ties(), 2, "float32"),
        (Dare(seed=1), 2, "float32"),
        (TaskArithmetic(), 2, "float32"),
        (Ties(conventions="mergekit"), 2, "bfloat16"),
        (TaskArithmetic(), 1, "bfloat16"),
    ],
)
def test_direction_is_made_once_for_all_alphas_and_changes_no_bit(
    tmp_path: Path,
    bench: Bench,
    base_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: Any,
    count: int,
    dtype: str,
) -> None:
    base = base_folder if dtype == "float32" else half_base(base_folder, tmp_path / "half")
    tuned = [save_fine_tune(base, tmp_path / f"t{seed}", seed=seed, dtype=dtype) for seed in range(count)]
    vectors = [bench.vector(base, "model", each, dtype) for each in tuned]
    alphas = ("0.3", "0.6", "1.2", "1") + (() if isinstance(method, Ties) else ("-0.7", "-1"))
    keys = [bench.merge(base, vectors, [a] * count, method, dtype=dtype) for a in alphas]
    made: list[str] = []
    original = Composition.direction

    def counted(self: Composition, name: str, *rest: Any) -> Any:
        made.append(name)
        return original(self, name, *rest)

    monkeypatch.setattr(Composition, "direction", counted)
    loaded = opened(bench, base, dtype)
    quick = [on_subject(bench, base, loaded, merge=(key,)) for key in keys]
    assert len(made) == len(set(made))
    monkeypatch.setattr("traitgraph.runtime.subjects.workbench._SHARE_OF_MEMORY", 0.0)
    bench.session.clear()
    loaded = opened(bench, base, dtype)
    slow = [on_subject(bench, base, loaded, merge=(key,)) for key in keys]
    assert len(made) > 2 * len(set(made))
    assert all(same_bits(a, b) for a, b in zip(quick, slow, strict=True))


def test_thresholds_of_the_merge_job_are_not_counted_again(
    tmp_path: Path, bench: Bench, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = [
        bench.vector(base_folder, "model", save_fine_tune(base_folder, tmp_path / f"t{seed}", seed=seed))
        for seed in (1, 2)
    ]
    key = bench.merge(base_folder, vectors, ["0.3", "0.3"], Ties())
    bench.session.clear()
    monkeypatch.setattr("traitgraph.runtime.tensors.selection.Selection.settle", None)
    on_subject(bench, base_folder, opened(bench, base_folder), merge=(key,))


def test_slerp_half_way_keeps_the_length_of_weights(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    vector = bench.vector(base_folder, "model", save_fine_tune(base_folder, tmp_path / "t", seed=1, size=1.0))
    loaded = opened(bench, base_folder)
    ends = [weights(loaded.model), weights(load(tmp_path / "t"))]
    key = bench.merge(base_folder, [vector], ["0.5"], Slerp())
    middle = on_subject(bench, base_folder, loaded, merge=(key,))
    name = "model.layers.0.mlp.up_proj.weight"
    lengths = [float(each[name].norm()) for each in (*ends, middle)]
    assert min(lengths[:2]) * 0.99 < lengths[2] < max(lengths[:2]) * 1.01


def test_vectors_are_carried_onto_a_domain_bit_for_bit(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    """theta = base + 1 * (domain - base) + alpha * phi is domain + alpha * phi; at alpha 0 it is the domain."""
    import torch

    domain = save_fine_tune(base_folder, tmp_path / "domain", seed=8)
    params = VectorParams(model=bench.ref(base_folder), tuned=bench.ref(domain))
    domain_vector = bench.run("vector", params)
    trait = bench.vector(base_folder, "model", save_fine_tune(base_folder, tmp_path / "t", seed=1))
    loaded = opened(bench, base_folder)
    alone = bench.merge(base_folder, [], [], onto=(domain_vector, "1"))
    assert same_bits(on_subject(bench, base_folder, loaded, merge=(alone,)), weights(load(domain)))
    carried = on_subject(
        bench, base_folder, loaded, merge=(bench.merge(base_folder, [trait], ["0.5"], onto=(domain_vector, "1")),)
    )
    tuned, base = weights(load(tmp_path / "t")), weights(load(base_folder))
    for name, start in weights(load(domain)).items():
        torch.testing.assert_close(carried[name], start + 0.5 * (tuned[name] - base[name]), atol=1e-6, rtol=0)


def test_vector_against_the_opposite_level_is_the_difference_of_both(
    tmp_path: Path, bench: Bench, base_folder: Path
) -> None:
    import torch

    from traitgraph.runtime.vectors.vectors import load_vector

    for part, save in (("adapter", save_adapter), ("model", save_fine_tune)):
        high, low = (bench.publish(part, save(base_folder, tmp_path / f"{part}{seed}", seed)) for seed in (1, 2))
        ref = VectorParams(model=bench.ref(base_folder))
        keys = [
            bench.run("vector", ref, tuned=(high,)),
            bench.run("vector", ref, tuned=(low,)),
            bench.run("vector", ref, tuned=(high,), opposite=(low,)),
        ]
        one, two, both = (load_vector(bench.store.path("vector", key)) for key in keys)
        assert both.record["form"] == one.record["form"]
        for name in both.names:
            torch.testing.assert_close(both.delta(name), one.delta(name) - two.delta(name), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("dtype", "alpha"), [("float32", 3e38), ("bfloat16", 3e38), ("float16", 1e6)])
def test_a_step_that_the_number_format_cannot_hold_is_refused(
    tmp_path: Path, bench: Bench, base_folder: Path, dtype: str, alpha: float
) -> None:
    """Steps whose outcome is bounded by what is known of base and direction are not looked at again: this one is."""
    from traitgraph.runtime.merging import MergeError
    from traitgraph.runtime.subjects.workbench import Workbench
    from traitgraph.runtime.vectors.vectors import load_vector

    key = bench.vector(base_folder, "model", save_fine_tune(base_folder, tmp_path / "t", seed=1, size=2.0))
    vector = load_vector(bench.store.path("vector", key))
    workbench = Workbench(opened(bench, base_folder, dtype))
    workbench.apply_merge("small", Composition([vector], [0.5], TaskArithmetic()))
    with pytest.raises(MergeError, match="would hold"):
        workbench.apply_merge("large", Composition([vector], [alpha], TaskArithmetic()))
    workbench.restore()
