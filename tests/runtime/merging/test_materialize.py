from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bench import Bench, load, same_bits, save_adapter, save_fine_tune, weights
from tests.runtime.subjects.test_subjects import on_subject, opened
from traitgraph.runtime.merging import MergeError
from traitgraph.runtime.merging.adapter_out import truncated
from traitgraph.runtime.merging.materialize import materialize
from traitgraph.runtime.merging.on_disk import model_card
from traitgraph.runtime.tensors.checkpoint import Checkpoint
from traitgraph.specs.study.merge_methods import DareTies, MergeMethod, Slerp, TaskArithmetic, Ties


def sharded(base: Path, folder: Path) -> Path:
    """The base and its tokenizer in several shards."""
    load(base).save_pretrained(folder, max_shard_size="30KB")
    for file in base.glob("token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


def full_vectors(bench: Bench, base: Path, tmp_path: Path, dtype: str = "float32") -> list[str]:
    tuned = [save_fine_tune(base, tmp_path / f"tuned{seed}", seed=seed) for seed in (1, 2)]
    return [bench.vector(base, "model", each, dtype) for each in tuned]


def folders(bench: Bench, keys: list[str]) -> list[Path]:
    return [bench.store.path("merge", key) for key in keys]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_checkpoints_are_the_subjects_that_were_assessed(
    tmp_path: Path, bench: Bench, base_folder: Path, dtype: str
) -> None:
    vectors = full_vectors(bench, base_folder, tmp_path, dtype)
    methods: list[MergeMethod] = [TaskArithmetic(), Ties(density=0.4), DareTies(seed=3), Ties(conventions="mergekit")]
    keys = [bench.merge(base_folder, vectors, ["0.7", "-0.4"], method, dtype) for method in methods]
    keys.append(bench.merge(base_folder, vectors, ["1.4", "-0.8"], methods[1], dtype))
    keys.append(bench.merge(base_folder, vectors[:1], ["0.3"], Slerp(), dtype))
    outs = [tmp_path / f"out{number}" for number in range(len(keys))]
    materialize(folders(bench, keys), outs, base_folder)
    loaded = opened(bench, base_folder, dtype)
    for key, out in zip(keys, outs, strict=True):
        in_place = on_subject(bench, base_folder, loaded, merge=(key,))
        assert same_bits(weights(load(out, dtype)), in_place)


def test_one_pass_over_many_outputs_writes_what_single_passes_write(
    tmp_path: Path, bench: Bench, base_folder: Path
) -> None:
    vectors = full_vectors(bench, base_folder, tmp_path)
    keys = [bench.merge(base_folder, vectors, [alpha, alpha], Ties()) for alpha in ("0.3", "0.6")]
    materialize(folders(bench, keys), [tmp_path / "a", tmp_path / "b"], base_folder)
    for key, together in zip(keys, ("a", "b"), strict=True):
        materialize(folders(bench, [key]), [tmp_path / f"{together} alone"], base_folder)
        alone = (tmp_path / f"{together} alone" / "model.safetensors").read_bytes()
        assert (tmp_path / together / "model.safetensors").read_bytes() == alone


def test_shards_change_nothing_and_keep_their_layout(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    vectors = full_vectors(bench, base_folder, tmp_path)
    key = bench.merge(base_folder, vectors, ["0.5", "0.5"], Ties())
    pieces = sharded(base_folder, tmp_path / "sharded")
    materialize(folders(bench, [key]), [tmp_path / "one"], base_folder)
    materialize(folders(bench, [key]), [tmp_path / "many"], pieces)
    assert same_bits(weights(load(tmp_path / "one")), weights(load(tmp_path / "many")))
    names = {file.name for file in (tmp_path / "many").glob("model*")}
    assert names == {file.name for file in pieces.glob("model*")}
    assert json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())["metadata"]["total_size"] > 0


def test_checkpoint_has_all_that_a_model_needs(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    from transformers import AutoTokenizer

    key = bench.merge(base_folder, full_vectors(bench, base_folder, tmp_path), ["0.5", "0.5"], Ties())
    materialize(folders(bench, [key]), [tmp_path / "out"], base_folder, dtype="bfloat16", base_name="owner/base")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "bfloat16" in (config.get("dtype"), config.get("torch_dtype"))
    assert {info.dtype for info in Checkpoint(tmp_path / "out").values()} == {"bfloat16"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(base_folder).chat_template
    card = (tmp_path / "out" / "README.md").read_text()
    assert '- "owner/base"' in card
    assert "Method: ties, conventions: paper." in card
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["resolved"]["scope"] == "model"


def test_keep_weights_writes_the_checkpoint_into_the_artifact(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    vectors = full_vectors(bench, base_folder, tmp_path)
    key = bench.merge(base_folder, vectors, ["0.5", "0.5"], keep="weights")
    kept = weights(load(bench.store.path("merge", key) / "model"))
    assert same_bits(kept, on_subject(bench, base_folder, opened(bench, base_folder), merge=(key,)))


def test_nothing_is_left_of_an_output_that_fails(
    tmp_path: Path, bench: Bench, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bench.merge(base_folder, full_vectors(bench, base_folder, tmp_path), ["1", "1"])
    from traitgraph.runtime.merging import composition
    from traitgraph.runtime.tensors.rounding import round_to as original

    calls = []

    def fail_late(*given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > 5:
            raise OSError("no space left")
        return original(*given, **options)

    monkeypatch.setattr(composition, "round_to", fail_late)
    (tmp_path / "outs").mkdir()
    with pytest.raises(OSError, match="no space"):
        materialize(folders(bench, [key]), [tmp_path / "outs" / "a"], base_folder)
    assert list((tmp_path / "outs").iterdir()) == []


def test_a_folder_with_files_is_never_overwritten(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    key = bench.merge(base_folder, full_vectors(bench, base_folder, tmp_path), ["1", "1"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    with pytest.raises(MergeError, match="exists and is not empty"):
        materialize(folders(bench, [key]), [tmp_path / "out"], base_folder)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "x"


def low_rank(bench: Bench, base: Path, tmp_path: Path) -> list[str]:
    return [
        bench.vector(base, "adapter", save_adapter(base, tmp_path / f"a{rank}", seed=rank, r=rank)) for rank in (4, 2)
    ]


def test_adapter_is_exact_and_loads_in_peft(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    """Ranks 4 and 2 add up to 6; merged by peft it is base + sum of the changes."""
    import torch
    from peft import PeftModel

    key = bench.merge(base_folder, low_rank(bench, base_folder, tmp_path), ["0.7", "-1.2"])
    materialize(folders(bench, [key]), [tmp_path / "out"], base_folder, form="adapter")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (6, 6)
    assert config["target_modules"] == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    merged = weights(PeftModel.from_pretrained(load(base_folder), str(tmp_path / "out")).merge_and_unload())
    in_place = on_subject(bench, base_folder, opened(bench, base_folder), merge=(key,))
    for name, expected in in_place.items():
        torch.testing.assert_close(merged[name], expected, atol=1e-6, rtol=0)


def test_adapter_of_a_rank_is_the_best_one(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    """The error is that of the full singular value decomposition of each matrix."""
    import torch

    draw = torch.Generator().manual_seed(0)
    left, right = torch.randn(30, 8, generator=draw), torch.randn(8, 20, generator=draw)
    (new_left, new_right), lost, whole = truncated(left, right, 3)
    values = torch.linalg.svdvals((left @ right).double())
    assert lost == pytest.approx(float(values[3:].square().sum()), rel=1e-6)
    assert whole == pytest.approx(float(values.square().sum()), rel=1e-6)
    assert float((new_left @ new_right - left @ right).double().norm()) == pytest.approx(lost**0.5, rel=1e-4)
    key = bench.merge(base_folder, low_rank(bench, base_folder, tmp_path), ["1", "1"])
    materialize(folders(bench, [key]), [tmp_path / "out"], base_folder, form="adapter", rank=3)
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["r"] == 3


def test_adapter_of_a_merge_without_low_rank_is_refused(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    (tmp_path / "out").mkdir()
    elected = bench.merge(base_folder, low_rank(bench, base_folder, tmp_path), ["1", "1"], Ties())
    with pytest.raises(MergeError, match="is changed by ties: no adapter holds this merge"):
        materialize(folders(bench, [elected]), [tmp_path / "out"], base_folder, form="adapter")
    full = bench.merge(base_folder, full_vectors(bench, base_folder, tmp_path), ["1", "1"])
    with pytest.raises(MergeError, match="is not a sum of low-rank changes"):
        materialize(folders(bench, [full]), [tmp_path / "out"], base_folder, form="adapter")


def test_all_recipes_are_checked_before_the_first_adapter_is_written(
    tmp_path: Path, bench: Bench, base_folder: Path
) -> None:
    vectors = low_rank(bench, base_folder, tmp_path)
    keys = [bench.merge(base_folder, vectors, ["1", "1"], method) for method in (TaskArithmetic(), Ties())]
    with pytest.raises(MergeError, match="is changed by ties"):
        materialize(folders(bench, keys), [tmp_path / "outs" / name for name in "ab"], base_folder, form="adapter")
    assert not (tmp_path / "outs").exists()


def test_folders_are_given_as_text_too(tmp_path: Path, bench: Bench, base_folder: Path) -> None:
    key = bench.merge(base_folder, low_rank(bench, base_folder, tmp_path), ["1", "1"])
    materialize([str(*folders(bench, [key]))], [str(tmp_path / "out")], str(base_folder))
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [(["--rank", "4"], "--rank is for --form adapter"), (["--form", "adapter", "--dtype", "bfloat16"], "--dtype is")],
)
def test_options_that_nothing_uses_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    from traitgraph.cli import main

    assert main(["materialize", str(tmp_path / "study.yaml"), "-o", str(tmp_path / "out"), *given]) == 2
    assert message in capsys.readouterr().err


def test_a_card_names_its_base_to_hubs_only_where_it_is_on_one() -> None:
    on_hub, bundled = model_card({"base_name": "owner/base"}), model_card({"base_name": "smollm2-135m"})
    assert 'base_model:\n- "owner/base"\n' in on_hub
    assert "base_model" not in bundled.partition("# A merged model")[0]
    assert "from a base, `smollm2-135m`," in bundled
