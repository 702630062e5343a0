"""Other names, other vocabularies, other bases: what fits is said, what does not is refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.bench import Bench, load, save_adapter, save_fine_tune
from traitgraph.runtime.merging import MergeError
from traitgraph.runtime.tensors.checkpoint import Checkpoint, TensorInfo
from traitgraph.runtime.vectors.differences import CheckpointDifference, TensorDifference
from traitgraph.runtime.vectors.extraction import build_domain_vector
from traitgraph.runtime.vectors.fitting import check_same_tokens, fit_vectors, renamed
from traitgraph.runtime.vectors.vectors import load_vector

if TYPE_CHECKING:
    import torch

INSIDE = {"model.": "model.language_model."}


def vision_language_model(base: Path, folder: Path, rows: int = 0, **changed: torch.Tensor) -> Path:
    """The base's tensors under another module beside a vision tower, with extra rows in the embedding."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {renamed(name, INSIDE): tensor for name, tensor in load_file(base / "model.safetensors").items()}
    tensors |= {"model.vision_tower.w": torch.ones(3, 3), **changed}
    name = "model.language_model.embed_tokens.weight"
    tensors[name] = torch.cat([tensors[name], torch.ones(rows, tensors[name].shape[1])])
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for file in base.glob("token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_vector_fits_the_language_part_of_a_larger_model(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    import torch

    vector = load_vector(
        bench.store.path("vector", bench.vector(base_folder, "adapter", save_adapter(base_folder, tmp_path / "a", 1)))
    )
    larger = Checkpoint(vision_language_model(base_folder, tmp_path / "vlm"))
    (fitted,), fit = fit_vectors([vector], larger, names=INSIDE)
    name = "model.layers.0.mlp.up_proj.weight"
    rows = vector.shape(name)[0]
    assert torch.equal(fitted.piece(renamed(name, INSIDE), 0, rows), vector.piece(name, 0, rows))
    assert fit.skipped[-1] == "model.vision_tower.w"
    assert len(fit.matched) == len(vector.names)
    assert fit.changed_bytes == 4 * vector.elements
    assert fit.total_bytes == larger.nbytes


def test_names_that_do_not_fit_are_refused_with_a_map_that_would(tmp_path: Path, base_folder: Path) -> None:
    import torch

    larger = Checkpoint(vision_language_model(base_folder, tmp_path / "vlm"))
    vector = TensorDifference({"model.norm.weight": torch.zeros(32)}, "v")
    with pytest.raises(
        MergeError,
        match=r"first 'model\.norm\.weight'; this map of names would fit: .*'model\.': 'model\.language_model\.'",
    ):
        fit_vectors([vector], larger)
    with pytest.raises(MergeError, match="vectors of another base, or a map of names is needed"):
        fit_vectors([TensorDifference({"decoder.w": torch.zeros(1)}, "v")], larger)


def test_dry_run_lists_what_does_not_fit(tmp_path: Path, base_folder: Path) -> None:
    import torch

    vector = TensorDifference({"model.norm.weight": torch.zeros(32), "decoder.w": torch.zeros(1)}, "v")
    _, fit = fit_vectors([vector], Checkpoint(base_folder), dry=True)
    assert fit.matched == {"model.norm.weight": "model.norm.weight"}
    assert fit.unmatched == ["decoder.w"]
    assert fit.changed_bytes == 128


def test_unequal_vocabularies_are_refused_cut_or_left() -> None:
    import torch

    base = {"embed.weight": torch.zeros(5, 2), "w": torch.zeros(2)}
    infos = infos_of(base)
    vector = TensorDifference({"embed.weight": torch.ones(3, 2), "w": torch.ones(2)}, "v")
    with pytest.raises(MergeError, match=r"'embed.weight' has shape \[5, 2\] .*vocabulary: common"):
        fit_vectors([vector], infos)
    (cut,), _ = fit_vectors([vector], infos, vocabulary="common")
    assert cut.piece("embed.weight", 0, 5).reshape(5, 2).tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    assert cut.piece("embed.weight", 2, 4).reshape(2, 2).tolist() == [[1, 1], [0, 0]]
    assert cut.piece("embed.weight", 4, 5).tolist() == [0, 0]
    (left,), fit = fit_vectors([vector], infos, vocabulary="base")
    assert list(left.names) == ["w"]
    assert fit.left == ["embed.weight"]
    longer = TensorDifference({"embed.weight": torch.arange(14.0).reshape(7, 2)}, "v")
    (cut,), _ = fit_vectors([longer], infos, vocabulary="common")
    assert cut.piece("embed.weight", 3, 5).tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize("order", [(3, 5, 4), (4, 3, 5), (5, 4, 7)])
def test_each_vector_changes_the_rows_that_it_and_the_base_have_whatever_the_others_have(
    order: tuple[int, ...],
) -> None:
    import torch

    infos = infos_of({"embed.weight": torch.zeros(5, 2), "w": torch.zeros(2)})
    vectors = [TensorDifference({"embed.weight": torch.ones(rows, 2), "w": torch.ones(2)}, str(rows)) for rows in order]
    cut, fit = fit_vectors(vectors, infos, vocabulary="common")
    changed = [int(each.piece("embed.weight", 0, 5).sum()) // 2 for each in cut]
    assert changed == [min(rows, 5) for rows in order]
    assert fit.cut == {"embed.weight": min(order)}
    left, fit = fit_vectors(vectors, infos, vocabulary="base")
    assert [list(each.names) for each in left] == [["w"]] * 3
    assert (fit.left, fit.matched) == (["embed.weight"], {"w": "w"})


def infos_of(tensors: dict[str, torch.Tensor]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name, tuple(each.shape), "float32", Path(), 0, each.nbytes) for name, each in tensors.items()
    }


def test_tokenizers_that_disagree_are_refused_with_the_token(tmp_path: Path, base_folder: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    table = json.loads((base_folder / "tokenizer.json").read_text())
    by_id = {number: token for token, number in table["model"]["vocab"].items()}
    table["model"]["vocab"][by_id[300]], table["model"]["vocab"][by_id[301]] = 301, 300
    (other / "tokenizer.json").write_text(json.dumps(table))
    check_same_tokens([base_folder, other], 300)
    with pytest.raises(MergeError, match=r"token 300 is .* mean different tokens; set vocabulary: base"):
        check_same_tokens([base_folder, other], 301)
    with pytest.raises(MergeError, match=r"no tokenizer\.json"):
        check_same_tokens([base_folder, tmp_path], 3)


def test_vector_of_a_vision_language_model_is_that_of_its_language_part(tmp_path: Path, base_folder: Path) -> None:
    import torch

    tuned = save_fine_tune(base_folder, tmp_path / "tuned", seed=1)
    for file in base_folder.glob("token*"):
        (tuned / file.name).write_bytes(file.read_bytes())
    larger = vision_language_model(tuned, tmp_path / "vlm", rows=4)
    (tmp_path / "v").mkdir()
    build_domain_vector(larger, Checkpoint(base_folder), tmp_path / "v", names=INSIDE)
    vector, base = load_vector(tmp_path / "v"), Checkpoint(base_folder)
    for name, expected in load(tuned).named_parameters():
        torch.testing.assert_close(base.read(name) + vector.delta(name), expected.detach(), atol=1e-6, rtol=0)


def test_checkpoints_of_unequal_tensors_are_refused(tmp_path: Path, base_folder: Path) -> None:
    from tests.runtime.bench import untied
    from tests.tiny_model import save_tiny_model

    base = Checkpoint(base_folder)

    def refused(tuned: Path, message: str) -> None:
        with pytest.raises(MergeError, match=message):
            CheckpointDifference(base, Checkpoint(tuned), "")

    refused(untied(base_folder, tmp_path / "untied"), r"'lm_head\.weight' stands in .*tie_word_embeddings")
    refused(save_tiny_model(tmp_path / "deep", layers=3), "9 only in")
    refused(save_tiny_model(tmp_path / "wide", hidden=64), r"has shape \[\d+, 32\] in the base")


def test_quantised_and_integer_tensors_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    def saved(name: str, tensor: torch.Tensor) -> Checkpoint:
        (tmp_path / name).mkdir()
        save_file({"q": tensor, "w": torch.zeros(2)}, tmp_path / name / "model.safetensors")
        return Checkpoint(tmp_path / name)

    plain, packed, other = (
        saved("plain", torch.zeros(4)),
        saved("packed", torch.zeros(4, dtype=torch.int8)),
        saved("other", torch.ones(4, dtype=torch.int8)),
    )
    with pytest.raises(MergeError, match=r"'q' is float32 in the base and int8 in .*quantised checkpoint"):
        CheckpointDifference(plain, packed, "")
    with pytest.raises(MergeError, match=r"'q' is int8 and differs .* not subtracted"):
        CheckpointDifference(packed, other, "")
    assert CheckpointDifference(packed, packed, "").names == ("w",)
    with pytest.raises(MergeError, match="'q' of the base is int8"):
        fit_vectors([TensorDifference({"q": torch.zeros(4)}, "v")], packed)


def test_damaged_checkpoints_are_refused_with_the_file(tmp_path: Path, base_folder: Path) -> None:
    from tests.runtime.merging.test_materialize import sharded

    def refused(folder: Path, message: str) -> None:
        with pytest.raises(MergeError, match=message):
            Checkpoint(folder)

    refused(tmp_path, "is empty")
    folder = sharded(base_folder, tmp_path / "sharded")
    first = sorted(folder.glob("*.safetensors"))[0]
    content = first.read_bytes()
    first.write_bytes(content[:-8])
    refused(folder, f"{first.name}: ends before tensor")
    first.write_bytes(b"\x80\x04pickle")
    refused(folder, f"{first.name}: not a safetensors file")
    first.unlink()
    refused(folder, f"lacks shards that .* names: {first.name}")
    first.write_bytes(content)
    index = folder / "model.safetensors.index.json"
    table = json.loads(index.read_text())
    index.write_text(json.dumps({**table, "weight_map": {**table["weight_map"], "ghost": first.name}}))
    refused(folder, "its index names tensors that no shard holds: ghost")
    index.write_text(json.dumps({**table, "weight_map": {"w": "../../secret.safetensors"}}))
    refused(folder, "names a file outside the folder")
