"""Sources of unequal vocabularies: whose rows are changed, whose tokens are compared, and what is left as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.merging.recipes import written
from traitgraph.runtime.merge_files.from_file import merge_from_file
from traitgraph.runtime.merging import MergeError

if TYPE_CHECKING:
    import torch

EMBEDDING, HEAD, INSIDE = "model.embed_tokens.weight", "lm_head.weight", "model.layers.0.mlp.up_proj.weight"


def saved(folder: Path, tensors: dict[str, torch.Tensor], tokens: Sequence[str] = "abcdefghij") -> Path:
    """A checkpoint of a few tensors with a tokenizer."""
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {each: n for n, each in enumerate(tokens)}}}))
    return folder


def drawn(seed: int, rows: int, head_rows: int | None = None) -> dict[str, torch.Tensor]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    shapes = {EMBEDDING: (rows, 3), HEAD: (head_rows or rows, 3), INSIDE: (3, 3)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def result(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("order", [("same", "more"), ("more", "same")])
def test_base_leaves_a_table_as_it_is_for_all_sources_where_one_has_other_rows(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    import torch

    parts = {"base": drawn(0, 5), "same": drawn(1, 5), "more": drawn(2, 6, head_rows=5)}
    for name, tensors in parts.items():
        saved(tmp_path / name, tensors)
    vectors = ", ".join(f"{{model: {name}, alpha: 0.5}}" for name in order)
    recipe = written(tmp_path, f"base: base\nvocabulary: base\nvectors: [{vectors}]\n")
    for dry in (True, False):
        report = merge_from_file(recipe, tmp_path / "out", dry_run=dry).as_data()
        assert report["left_as_in_the_base"] == [EMBEDDING]
        assert sorted(report["matched"]) == [HEAD, INSIDE]
    found = result(tmp_path / "out")
    assert torch.equal(found[EMBEDDING], parts["base"][EMBEDDING])
    for name in (HEAD, INSIDE):  # of equal size everywhere: merged as ever
        torch.testing.assert_close(found[name], (parts["same"][name] + parts["more"][name]) / 2)


def test_base_holds_for_a_model_beside_an_adapter_that_was_resized(folder: Path, base_folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from tests.runtime.bench import load, untied, weights

    base = weights(load(untied(base_folder, folder / "apart")))
    saved(folder / "tuned", {name: each + 0.5 for name, each in base.items()})
    model = load(folder / "apart")
    model.resize_token_embeddings(len(base[EMBEDDING]) + 3, mean_resizing=False)
    options = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"])
    get_peft_model(model, options).save_pretrained(folder / "resized", save_embedding_layers=False)
    text = "base: apart\nvocabulary: base\nvectors: [{model: tuned}, {adapter: resized}]\n"
    report = merge_from_file(written(folder, text), folder / "out")
    assert report.fit.left == [EMBEDDING]
    found = result(folder / "out")
    assert torch.equal(found[EMBEDDING], base[EMBEDDING])
    torch.testing.assert_close(found[HEAD], base[HEAD] + 0.5)


@pytest.mark.parametrize("policy", ["common", "base"])
def test_a_table_of_positions_of_another_length_is_no_vocabulary(tmp_path: Path, policy: str) -> None:
    import torch

    for name, positions in (("base", 8), ("tuned", 16)):
        saved(
            tmp_path / name,
            {"transformer.wte.weight": torch.ones(5, 2), "transformer.wpe.weight": torch.ones(positions, 2)},
        )
    with pytest.raises(MergeError, match=r"'transformer\.wpe\.weight' has shape \[8, 2\] in the base and \[16, 2\]"):
        merge_from_file(
            written(tmp_path, f"base: base\nvocabulary: {policy}\nvectors: [{{model: tuned}}]\n"), tmp_path / "out"
        )


def test_tokens_are_compared_up_to_the_longest_table_that_is_changed(tmp_path: Path) -> None:
    """The head has more rows than the embedding: padding."""
    saved(tmp_path / "base", drawn(0, 5, head_rows=8), "abcdefgh")
    saved(tmp_path / "tuned", drawn(1, 4, head_rows=7), "abcdeXgh")
    recipe = written(tmp_path, "base: base\nvocabulary: common\nvectors: [{model: tuned}]\n")
    with pytest.raises(MergeError, match="token 5 is 'X' in"):
        merge_from_file(recipe, tmp_path / "out")


@pytest.mark.parametrize("tokens", ["abcdef", "abcdeX"])
def test_tokens_of_each_source_are_compared_in_its_own_rows(tmp_path: Path, tokens: str) -> None:
    """And each changes the rows that it has in common with the base, as the report says."""
    import torch

    rows = {"base": 7, "few": 4, "few-tuned": 4, "some": 6, "some-tuned": 6}
    parts = {name: drawn(seed, rows) for seed, (name, rows) in enumerate(rows.items())}
    for name, tensors in parts.items():
        saved(tmp_path / name, tensors, tokens if name.startswith("some") else "abcdefg"[: rows[name]])
    vectors = "{model: few-tuned, of: few}, {model: some-tuned, of: some}"
    recipe = written(tmp_path, f"base: base\nvocabulary: common\nvectors: [{vectors}]\n")
    if tokens == "abcdeX":
        with pytest.raises(MergeError, match="token 5 is 'X' in"):
            merge_from_file(recipe, tmp_path / "out")
        return
    report = merge_from_file(recipe, tmp_path / "out").as_data()
    assert report["rows_in_common"] == {EMBEDDING: 4, HEAD: 4}
    wanted = parts["base"][EMBEDDING].clone()
    for name in ("few", "some"):
        wanted[: rows[name]] += parts[f"{name}-tuned"][EMBEDDING] - parts[name][EMBEDDING]
    torch.testing.assert_close(result(tmp_path / "out")[EMBEDDING], wanted)


def test_the_report_says_how_many_rows_of_a_model_count(tmp_path: Path) -> None:
    import torch

    base, tuned = drawn(0, 5), drawn(1, 7)
    saved(tmp_path / "base", base), saved(tmp_path / "tuned", tuned)
    recipe = written(tmp_path, "base: base\nvocabulary: common\nvectors: [{model: tuned}]\n")
    report = merge_from_file(recipe, tmp_path / "out").as_data()
    assert report["rows_in_common"] == {EMBEDDING: 5, HEAD: 5}
    torch.testing.assert_close(result(tmp_path / "out")[HEAD], tuned[HEAD][:5])


def test_a_vector_of_another_vocabulary_is_warned_of_since_it_has_no_tokenizer(tmp_path: Path) -> None:
    from traitgraph.runtime.tensors.checkpoint import Checkpoint
    from traitgraph.runtime.vectors.extraction import build_vector

    (
        saved(tmp_path / "base", drawn(0, 5)),
        saved(tmp_path / "other", drawn(1, 7)),
        saved(tmp_path / "tuned", drawn(2, 7)),
    )
    build_vector(tmp_path / "tuned", Checkpoint(tmp_path / "other"), tmp_path / "vector")
    recipe = written(tmp_path, "base: base\nvocabulary: common\nvectors: [{vector: vector}]\n")
    warnings = merge_from_file(recipe, tmp_path / "out", dry_run=True).warnings
    assert "vector: a vector has no tokenizer, so nothing says whether its first 5 rows" in warnings[0]
