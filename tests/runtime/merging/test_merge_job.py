from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.bench import Bench, load, save_adapter, save_fine_tune
from traitgraph.runtime.store.errors import MissingArtifactError
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.vectors.vectors import load_vector


def low_rank_vectors(bench: Bench, base: Path, tmp_path: Path, count: int) -> list[str]:
    return [
        bench.vector(base, "adapter", save_adapter(base, tmp_path / f"a{seed}", seed=seed)) for seed in range(count)
    ]


def test_recipe_names_vectors_by_key_and_fingerprint(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    (vector,) = low_rank_vectors(bench, base_folder, tmp_path, 1)
    record = bench.record("merge", bench.merge(base_folder, [vector], ["0.30"]), "recipe.json")
    loaded = load_vector(bench.store.path("vector", vector))
    assert record["params"]["coefficients"] == ["0.3"]
    assert record["vectors"] == [{"key": vector, "fingerprint": loaded.id, "norm": loaded.record["norm"]}]


def test_norm_and_cosines_are_those_of_the_whole_vectors(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import torch

    keys = low_rank_vectors(bench, base_folder, tmp_path, 2)
    keys.append(bench.vector(base_folder, "model", save_fine_tune(base_folder, tmp_path / "full", seed=5)))
    coefficients = [0.5, -1.0, 0.25]
    found = bench.record("merge", bench.merge(base_folder, keys, [str(c) for c in coefficients]), "recipe.json")[
        "statistics"
    ]
    vectors = [load_vector(bench.store.path("vector", key)) for key in keys]
    flat = torch.stack(
        [
            torch.cat([v.delta(n).flatten().double() if n in v.names else torch.zeros(p.numel()) for n, p in
                       load(base_folder).named_parameters()])
            for v in vectors
        ]
    )  # fmt: skip
    assert found["norm"] == pytest.approx(float((torch.tensor(coefficients).double() @ flat).norm()), rel=1e-5)
    unit = flat / flat.norm(dim=1, keepdim=True)
    torch.testing.assert_close(torch.tensor(found["cosines"]).double(), unit @ unit.T, atol=1e-5, rtol=0)
    assert 0 < found["sign_conflicts"] < 1


def test_a_change_below_the_step_of_bfloat16_is_warned_of(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    tuned = save_fine_tune(base_folder, tmp_path / "tuned", seed=6, size=1e-4)
    vector = bench.vector(base_folder, "model", tuned)
    lost = bench.record("merge", bench.merge(base_folder, [vector], ["0.1"], dtype="bfloat16"), "recipe.json")
    kept = bench.record("merge", bench.merge(base_folder, [vector], ["0.1"]), "recipe.json")
    assert lost["statistics"]["effective_alpha"] < 0.5
    assert "survives rounding to bfloat16" in lost["warnings"][0]
    assert kept["statistics"]["effective_alpha"] == pytest.approx(1, abs=1e-3)
    assert kept["warnings"] == []


def test_vectors_of_another_base_are_refused_with_the_tensor(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    from tests.tiny_model import save_tiny_model

    wide = save_tiny_model(tmp_path / "wide", hidden=64)
    vector = bench.vector(wide, "adapter", save_adapter(wide, tmp_path / "a", seed=1))
    with pytest.raises(MergeError, match=r"'model\.layers\.0\..*has shape .* in a vector: it belongs to another base"):
        bench.merge(base_folder, [vector], ["1"])


def test_a_recipe_whose_vector_is_gone_says_so(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import shutil

    from tests.runtime.subjects.test_subjects import on_subject, opened

    (vector,) = low_rank_vectors(bench, base_folder, tmp_path, 1)
    merged = bench.merge(base_folder, [vector], ["1"])
    bench.session.clear()
    shutil.rmtree(bench.store.path("vector", vector))
    with pytest.raises(MissingArtifactError, match=vector[:8]):
        on_subject(bench, base_folder, opened(bench, base_folder), merge=(merged,))


@pytest.mark.parametrize(("kind", "name"), [("merge", "recipe.json"), ("vector", "vector.json")])
def test_a_record_of_another_version_is_told_with_what_to_do(
    tmp_path: Path, bench: Bench, base_folder: Path, kind: str, name: str
) -> None:
    import json

    from traitgraph.runtime.merging.recipe import read_recipe
    from traitgraph.runtime.vectors.vectors import load_vector

    (vector,) = low_rank_vectors(bench, base_folder, tmp_path, 1)
    key = {"vector": vector, "merge": bench.merge(base_folder, [vector], ["1"])}[kind]
    record = bench.record(kind, key, name)
    (tmp_path / kind).mkdir()
    (tmp_path / kind / name).write_text(json.dumps({"format": 0, "params": record.get("params")}))
    with pytest.raises(MergeError, match=rf"{name}: format 0, and .* reads format .*; remove the folder"):
        (read_recipe if kind == "merge" else load_vector)(tmp_path / kind)
