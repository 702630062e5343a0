"""Guided decoding: the formulas, several variants in one pass, and the job that writes dialogues."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.contexts import MakeContext
from tests.tiny_model import tiny_llama, tiny_tokenizer
from traitgraph.runtime.data.conversations import messages_of
from traitgraph.runtime.data.dialogues import read_dialogues
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.decoding.guided import (
    Guidance,
    Reply,
    Sampling,
    Variant,
    VariantsInStep,
    VocabularyError,
    combined_logits,
    guided_replies,
)
from traitgraph.runtime.decoding.job import expert_variant, generate
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.likelihood import NoNumbersError
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import GenerateParams, Prompt
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path

if TYPE_CHECKING:
    import torch

SCENES = ("Hello?", "How was your weekend, and what did you do?", "Why?", "Tell me about your friends.", "Lunch?")
GREEDY = Sampling(temperature=0, max_new_tokens=12)
SAMPLED = Sampling(temperature=1.0, max_new_tokens=12, top_p=0.9, seed=3)


@pytest.fixture(scope="module")
def adapter(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with random factors, strong enough to change what is written."""
    return save_adapter(model_folder, tmp_path_factory.mktemp("expert"))


def save_adapter(model_folder: Path, out: Path, **options: object) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_folder)
    torch.manual_seed(5)
    tuned = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", **options))
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tuned.save_pretrained(str(out / "adapter"))
    return out


def expert_context(make_context: MakeContext, model_ref: FolderModel, adapter: Path, **params: object) -> JobContext:
    context = make_context(generate_params(model_ref, FileData(digest="0" * 32), **params), expert=(adapter,))
    context.row = context.row.model_copy(update={"inputs": {"expert": ("e" * 32,)}})
    return context


def generate_params(model: FolderModel, scenarios: FileData, **changes: object) -> GenerateParams:
    given: dict[str, object] = {
        "model": model, "expert": model, "scenarios": scenarios, "combine": "difference", "gamma": Decimal("0.5"),
        "temperature": 0, "max_new_tokens": 12, "seed": 0, "trait": "extraversion", "level": "high",
        "instruction": "You are very outgoing.",
    }  # fmt: skip
    return GenerateParams.model_validate({**given, **changes})


# ---------------------------------------------------------------- formulas


def test_the_formulas_are_those_of_the_sources() -> None:
    import torch

    base, expert, anti = torch.randn(3, 4, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(combined_logits(Guidance("sum", 0.5), base, expert), base + 0.5 * expert)
    assert torch.equal(combined_logits(Guidance("difference", 2), base, expert, anti), base + 2 * (expert - anti))
    assert torch.allclose(combined_logits(Guidance("difference", 1), base, expert), expert, atol=1e-6)
    for gamma in (0.25, 1.0, 4.0):
        mixed = combined_logits(Guidance("difference", gamma / (1 + gamma)), base, expert)
        assert torch.allclose(combined_logits(Guidance("sum", gamma), base, expert), (1 + gamma) * mixed, atol=1e-5)


def test_the_nucleus_is_that_of_the_model_before_steering() -> None:
    """Tokens outside it cannot be written, however much the expert wants them; the likeliest one always can."""
    import torch

    base = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    expert = torch.tensor([[0.0, 0.0, 0.0, 50.0]])
    steered = combined_logits(Guidance("difference", 1, filter_p=0.8), base, expert)
    assert (steered > float("-inf")).tolist() == [[True, True, False, False]]
    assert (combined_logits(Guidance("sum", 1, filter_p=0.01), base, expert) > float("-inf")).sum() == 1
    steep = torch.arange(40.0)[None]  # the rounded sum is 1 long before the last token
    assert torch.equal(combined_logits(Guidance("sum", 1, filter_p=1), steep, -2 * steep), -steep)


# ---------------------------------------------------------------- variants


def test_voices_in_one_pass_are_what_each_is_alone(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, adapter: Path
) -> None:
    """Other prompts, other lengths, an adapter on some rows only, rows that leave: each has its own logits."""
    import torch

    expert = expert_variant(expert_context(make_context, model_ref, adapter), loaded, "expert")
    assert expert.loaded is loaded, "an adapter needs no second copy of the weights"
    prompts = [
        [prompt_ids(loaded.tokenizer, scene) for scene in SCENES[:3]],
        [prompt_ids(loaded.tokenizer, "You are very outgoing.")] * 3,
    ]
    tokens, left = torch.tensor([7, 8, 9]), torch.tensor([0, 2])
    with torch.inference_mode(), VariantsInStep([Variant(loaded), expert]) as together:
        first, second = together.read(prompts), together.step(tokens)
        together.keep(left)
        third = together.step(tokens[left])
    for number, variant in enumerate((Variant(loaded), expert)):
        for row, prompt in enumerate(prompts[number]):
            at = [prompt, (*prompt, int(tokens[row]))]
            expected = [alone(variant, text) for text in at]
            assert torch.allclose(first[number, row], expected[0], atol=1e-4)
            assert torch.allclose(second[number, row], expected[1], atol=1e-4)
            if row in left:
                again = alone(variant, (*at[1], int(tokens[row])))
                assert torch.allclose(third[number, left.tolist().index(row)], again, atol=1e-4)
    assert not loaded.model.model.layers[0].self_attn.q_proj._forward_hooks, "the hooks are gone"


def alone(variant: Variant, text: tuple[int, ...]) -> torch.Tensor:
    import torch

    with torch.inference_mode(), VariantsInStep([variant]) as single:
        return single.read([[text]])[0, 0]


def test_the_difference_at_one_writes_what_the_expert_writes_and_at_zero_what_the_model_writes(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, adapter: Path
) -> None:
    expert = expert_variant(expert_context(make_context, model_ref, adapter), loaded, "expert")
    prompts = [prompt_ids(loaded.tokenizer, scene) for scene in SCENES]

    def write(gamma: float, *variants: Variant) -> list[Reply]:
        return guided_replies(variants, [prompts] * len(variants), Guidance("difference", gamma), GREEDY, SCENES)

    model, its_expert = (write(0, variant, variant) for variant in (Variant(loaded), expert))
    assert model != its_expert
    assert write(0, Variant(loaded), expert) == model
    assert write(1, Variant(loaded), expert) == its_expert
    assert write(5, Variant(loaded), expert, expert) == model, "an expert less itself is nothing"


def test_a_reply_does_not_depend_on_the_batch_it_is_written_in(loaded: LoadedModel) -> None:
    """A draw is named by seed, scene and place."""
    prompts = [prompt_ids(loaded.tokenizer, scene) for scene in SCENES]
    guidance, variants = Guidance("sum", 0.5), [Variant(loaded), Variant(loaded)]
    together = guided_replies(variants, [prompts, prompts], guidance, SAMPLED, SCENES)
    alone = [
        guided_replies(variants, [[prompt], [prompt]], guidance, SAMPLED, [scene])[0]
        for scene, prompt in zip(SCENES, prompts, strict=True)
    ]
    assert together == alone
    other = guided_replies(variants, [prompts, prompts], guidance, Sampling(1.0, 12, seed=4), SCENES)
    assert other != together


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_distribution_that_is_no_number_writes_nothing(loaded: LoadedModel, sampling: Sampling) -> None:
    """Else a reply of whatever token stands where the NaN is would be trained on."""
    prompt = prompt_ids(loaded.tokenizer, "Hello?")
    loaded.model.get_input_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(NoNumbersError):
        guided_replies([Variant(loaded)] * 2, [[prompt]] * 2, Guidance("difference", 1), sampling, ["a"])


def test_an_expert_with_more_than_low_rank_changes_is_a_model_of_its_own(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, model_folder: Path, tmp_path: Path
) -> None:
    """Here a trained norm beside LoRA; the base is not touched."""
    import torch

    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    saved = save_adapter(model_folder, tmp_path, modules_to_save=["norm"])
    variant = expert_variant(expert_context(make_context, model_ref, saved), loaded, "expert")
    assert variant.loaded is not loaded
    prompt = prompt_ids(loaded.tokenizer, "Hello?")
    assert not torch.allclose(alone(variant, prompt), alone(Variant(loaded), prompt))
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


def test_models_of_other_vocabularies_are_refused(loaded: LoadedModel) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<|another|>"])
    other = LoadedModel(tiny_llama(len(tokenizer)), tokenizer, loaded.device, loaded.dtype)
    prompt = [prompt_ids(loaded.tokenizer, "Hello?")]
    with pytest.raises(VocabularyError, match=r"<\|another\|>"):
        guided_replies([Variant(loaded), Variant(other)], [prompt, prompt], Guidance("sum", 1), GREEDY, ["a"])


# ---------------------------------------------------------------- the job


@pytest.fixture
def scenarios(tmp_path: Path, locations: dict[str, str]) -> FileData:
    path = tmp_path / "scenes.jsonl"
    rows = [{"scene": scene, "split": "test" if number == 4 else "train"} for number, scene in enumerate(SCENES)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations[digest_path(path)] = str(path)
    return FileData(digest=digest_path(path), fields={"prompt": "scene"})


def test_the_job_writes_rows_that_training_reads(
    make_context: MakeContext, model_ref: FolderModel, scenarios: FileData, adapter: Path
) -> None:
    persona = Prompt(system="The person has high extraversion.")
    params = generate_params(model_ref, scenarios, persona=persona, opposite="You are very quiet.", gamma=Decimal(1))
    context = make_context(params, expert=(adapter,), anti=(adapter,))
    context.row = context.row.model_copy(update={"inputs": {"expert": ("e" * 32,), "anti": ("a" * 32,)}})
    generate(context, params)
    rows = read_dialogues(context.out / "dialogues.jsonl")
    assert [row.prompt for row in rows] == list(SCENES)
    assert {(row.trait, row.level) for row in rows} == {("extraversion", "high")}
    assert [row.split for row in rows] == ["train"] * 4 + ["heldout"]
    record = json.loads((context.out / "generation.json").read_text())
    assert (record["scenarios"], record["written"], record["empty"]) == (5, 5, [])
    assert record["cut"] == sum(not json.loads(line)["finished"] for line in lines_of(context))
    assert "The person has high extraversion." in record["writer_sees"]


def test_scenes_of_several_messages_stay_whole_in_what_is_written(
    make_context: MakeContext, model_ref: FolderModel, tmp_path: Path, locations: dict[str, str], adapter: Path
) -> None:
    """The writer sees all of them, and so does who is trained on the replies."""
    said = [{"role": "system", "content": "It is late."}, {"role": "user", "content": "Coming?"}]
    path = tmp_path / "scenes.jsonl"
    path.write_text(json.dumps({"messages": said}) + "\n")
    locations[digest_path(path)] = str(path)
    params = generate_params(model_ref, FileData(digest=digest_path(path)), gamma=Decimal(1))
    context = make_context(params, expert=(adapter,))
    context.row = context.row.model_copy(update={"inputs": {"expert": ("e" * 32,)}})
    generate(context, params)
    (row,) = read_dialogues(context.out / "dialogues.jsonl")
    assert messages_of(row.prompt) == said
    assert "It is late." in json.loads((context.out / "generation.json").read_text())["writer_sees"]


def test_an_interrupted_job_goes_on_and_gives_the_same_rows(
    make_context: MakeContext, model_ref: FolderModel, scenarios: FileData, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("traitgraph.runtime.decoding.job.BATCH_ROWS", {"cpu": 2})
    params = generate_params(model_ref, scenarios, temperature=1.0)
    whole = make_context(params)
    generate(whole, params)
    (tmp_path / "partial").mkdir()
    counts: list[tuple[int, int]] = []

    def again(batches: int) -> JobContext:
        context = make_context(params)
        context.partial = tmp_path / "partial"
        asked = iter([False] * batches + [True])
        context.stop_wanted = lambda: next(asked, False)
        context.progress = lambda done, total, what="": counts.append((done, total))
        return context

    with pytest.raises(Stopped):
        generate(again(1), params)
    with (tmp_path / "partial" / "replies.jsonl").open("a") as torn:
        torn.write('{"number": 3, "te')
    last = again(9)
    generate(last, params)
    assert counts == [(0, 5), (2, 5), (2, 5), (4, 5), (5, 5)]
    assert lines_of(last) == lines_of(whole)
    generate(nothing_left := again(0), params)
    assert lines_of(nothing_left) == lines_of(whole), "the torn line spoilt none after it"


def lines_of(context: JobContext) -> list[str]:
    return (context.out / "dialogues.jsonl").read_text().splitlines()


def test_a_job_in_which_nothing_was_written_fails(
    make_context: MakeContext, model_ref: FolderModel, scenarios: FileData, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = lambda variants, prompts, guidance, sampling, names: [Reply((), True) for _ in names]  # noqa: E731
    monkeypatch.setattr("traitgraph.runtime.decoding.job.guided_replies", nothing)
    params = generate_params(model_ref, scenarios)
    with pytest.raises(DialogueError, match="all 5 replies are empty"):
        generate(make_context(params), params)
