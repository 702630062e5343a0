"""Activation steering: the direction, the shift, the positions it acts on, and the way back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.runtime.contexts import MakeContext
from tests.runtime.steered import TRAIT, assess_context, assessed, contrast_of, hooks_of
from traitgraph.runtime.assessment.harness_requests import harness_model
from traitgraph.runtime.data.conversations import Said
from traitgraph.runtime.data.dialogues import read_dialogues, training_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import Stopped
from traitgraph.runtime.models.chat import prompt_ids, turn
from traitgraph.runtime.models.forward_pass import (
    Positions,
    UnknownPositionsError,
    decoder_blocks,
    reading,
    seen_by,
    writing,
)
from traitgraph.runtime.models.generation import written_texts
from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods
from traitgraph.runtime.models.loading import LoadedModel, load_network, open_model
from traitgraph.runtime.subjects.activations import activations, steer_block
from traitgraph.runtime.subjects.spans import SteeringError
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.jobs.params import ActivationsParams, Steering
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path


def run_benchmark(make_context: MakeContext, model: FolderModel, data: FileData, **options: Any) -> Path:
    """The folder of an `activations` artifact."""
    params = ActivationsParams(model=model, data=data, trait=TRAIT, **{"read_out": "response", **options})
    context = make_context(params)
    activations(context, params)
    return context.out


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "activations.safetensors")


def steering(layer: int, coefficient: str, **options: Any) -> Steering:
    given = {"positions": "response", "normalise": False, **options}
    return Steering(layer=layer, coefficient=Decimal(coefficient), **given)


# ---------------------------------------------------------------- the direction


def test_the_direction_is_the_difference_of_the_mean_hidden_states_of_replies(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData, dialogue_file: Path
) -> None:
    """As transformers' own output_hidden_states give them, one reply at a time, for the training rows alone.

    The last of those states is behind the final norm; there the norm of our mean is compared instead.
    """
    folder = run_benchmark(make_context, model_ref, dialogue_data)
    means = {}
    for level in ("high", "low"):
        rows = training_rows(read_dialogues(dialogue_file), TRAIT, level)
        means[level] = torch.stack([plain_mean(loaded, row.prompt, row.reply) for row in rows]).mean(0)
    found = tensors(folder)
    assert found["direction"].dtype is torch.float32
    first = slice(0, len(found["direction"]) - 1)
    for level, mean in means.items():
        torch.testing.assert_close(found[level][first], mean[1:-1], atol=1e-5, rtol=1e-5)
    expected = (means["high"] - means["low"])[1:-1]
    torch.testing.assert_close(found["direction"][first], expected, atol=1e-5, rtol=1e-5)
    record = json.loads((folder / "activations.json").read_text())
    assert record["replies"] == {"high": 2, "low": 2}
    assert record["norms"]["direction"] == pytest.approx(found["direction"].norm(dim=1).tolist(), rel=1e-5)
    assert all(high > low for high, low in zip(*record["projections"].values(), strict=True))


def plain_mean(loaded: LoadedModel, prompt: Said, reply: str) -> torch.Tensor:
    """Mean hidden states over a reply without its end of turn: [blocks + 1, hidden]."""
    before, after = turn(loaded.tokenizer, prompt, reply)
    assert loaded.tokenizer.decode(after[-1:]) == "<|im_end|>"
    with torch.no_grad():
        states = loaded.model(torch.tensor([before + after[:-1]]), output_hidden_states=True).hidden_states
    return torch.stack([state[0, len(before) :].mean(0) for state in states])


def test_the_last_block_is_read_before_the_final_norm(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData, dialogue_file: Path
) -> None:
    rows = training_rows(read_dialogues(dialogue_file), TRAIT, "high")
    means = []
    for row in rows:
        before, after = turn(loaded.tokenizer, row.prompt, row.reply)
        seen: list[torch.Tensor] = []
        with torch.no_grad(), seen_by([loaded.model.model.layers[-1]], seen.append):
            loaded.model(torch.tensor([before + after[:-1]]))
        means.append(seen[0][0, len(before) :].mean(0))
    found = tensors(run_benchmark(make_context, model_ref, dialogue_data))["high"][-1]
    torch.testing.assert_close(found, torch.stack(means).mean(0), atol=1e-5, rtol=1e-5)


def test_prompts_that_do_not_differ_by_level_have_no_direction(
    make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    with pytest.raises(DialogueError, match="needs prompts that differ by level"):
        run_benchmark(make_context, model_ref, dialogue_data, read_out="last_prompt")


def test_an_interrupted_job_gives_the_same_bits(
    make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Stopped after each batch in turn, in a new process each time as far as the job can see."""
    monkeypatch.setattr("traitgraph.runtime.subjects.spans.BATCH_TOKENS", {"cpu": 1})
    whole = run_benchmark(make_context, model_ref, dialogue_data)
    params = ActivationsParams(model=model_ref, data=dialogue_data, trait=TRAIT, read_out="response")
    partial = tmp_path / "partial"
    partial.mkdir()
    stops = 0
    while True:
        context, asked = make_context(params), iter([False, True])
        context.partial, context.stop_wanted = partial, lambda asked=asked: next(asked)  # type: ignore[misc]
        stops += 1
        try:
            activations(context, params)
            break
        except Stopped:
            assert not list(context.out.iterdir())
    assert stops == 4, "four replies, one in each process"
    assert all(torch.equal(value, tensors(whole)[name]) for name, value in tensors(context.out).items())


# ---------------------------------------------------------------- other architectures


def test_blocks_are_found_in_any_decoder() -> None:
    import torch
    from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, GPTNeoXConfig, MixtralConfig, Qwen2Config

    small = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3,
             "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 4}  # fmt: skip
    configs = [
        Qwen2Config(**small),
        Gemma2Config(**small),
        MixtralConfig(**small, num_local_experts=3),
        GPTNeoXConfig(**{name: small[name] for name in list(small)[:5]}),
        GPT2Config(vocab_size=50, n_embd=8, n_layer=3, n_head=2, bos_token_id=1, eos_token_id=2),
    ]
    for config in configs:
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config).eval()
        blocks = decoder_blocks(model)
        assert len(blocks) == 3
        before, logits = outputs(model, blocks)
        remove = steer_block(model, blocks[1], torch.arange(8.0))
        after, shifted_logits = outputs(model, blocks)
        remove()
        assert torch.equal(before[0], after[0]), type(model)
        torch.testing.assert_close(after[1], before[1] + torch.arange(8.0))
        assert not torch.allclose(before[2], after[2])
        assert not torch.allclose(logits, shifted_logits)
        assert torch.equal(outputs(model, blocks)[1], logits)
        assert hooks_of(model) == 0


def outputs(model: Any, blocks: Sequence[torch.nn.Module]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What each block puts out, and the logits."""
    seen: list[torch.Tensor] = []
    with seen_by(blocks, seen.append), torch.no_grad():
        logits: torch.Tensor = model(torch.arange(6)[None]).logits
    return seen, logits


def test_a_layer_beyond_the_last_is_refused(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    folder = run_benchmark(make_context, model_ref, dialogue_data)
    with pytest.raises(SteeringError, match="layer 3: the model has 2 blocks"):
        assessed(make_context, loaded, contrast_of(model_ref, dialogue_data, steering(3, "1")), folder)
    assert hooks_of(loaded.model) == 0


# ---------------------------------------------------------------- positions


@contextmanager
def shifted(loaded: LoadedModel, positions: Positions) -> Iterator[list[torch.Tensor]]:
    """The model with its first block shifted; what the second block puts in is listed."""
    remove = steer_block(loaded.model, loaded.model.model.layers[0], torch.full((32,), 0.5), positions)
    seen: list[torch.Tensor] = []
    try:
        with seen_by([loaded.model.model.layers[0]], seen.append):
            yield seen
    finally:
        remove()


def test_what_is_seen_comes_to_one_device() -> None:
    """Blocks of a model that is spread over several devices put out on their own."""
    seen: list[torch.Tensor] = []
    layer = torch.nn.Linear(2, 2)
    for device in (torch.device("meta"), None):
        with seen_by([layer], seen.append, device):
            layer(torch.zeros(1, 2))
    assert [each.device.type for each in seen] == ["meta", "cpu"]


@pytest.mark.parametrize("positions", ["all", "prompt", "response"])
def test_scoring_shifts_the_positions_that_a_plain_pass_would(loaded: LoadedModel, positions: Positions) -> None:
    """Prefixes that are shared, batches and continuations of any length: as one pass with those positions shifted."""
    tokenizer = loaded.tokenizer
    contexts = [prompt_ids(tokenizer, text) for text in ("Hello?", "Hello! How are you?", "Lunch")]
    requests = [Request(each, turn(tokenizer, "x", reply).reply) for each in contexts for reply in ("I do", "No", "A")]
    requests += [Request(each, (7,)) for each in contexts]
    with shifted(loaded, positions):
        found = continuation_likelihoods(loaded, requests)
    plain = continuation_likelihoods(loaded, requests)
    for request, score, other in zip(requests, found, plain, strict=True):
        first = len(request.context)
        at = {"all": slice(None), "prompt": slice(0, first), "response": slice(first - 1, None)}[positions]
        expected = by_one_pass(loaded, request, at)
        torch.testing.assert_close(torch.tensor(score.logprobs), expected, atol=1e-4, rtol=1e-4)
        assert score.logprobs != pytest.approx(other.logprobs, abs=1e-3)


def by_one_pass(loaded: LoadedModel, request: Request, at: slice) -> torch.Tensor:
    """log p of the continuation, the output of the first block raised by 0.5 at the positions of `at`."""

    def hook(module: Any, given: Any, hidden: torch.Tensor) -> torch.Tensor:
        raised = hidden.clone()
        raised[:, at] += 0.5
        return raised

    handle = loaded.model.model.layers[0].register_forward_hook(hook)
    ids = torch.tensor([request.context + request.continuation])
    with torch.no_grad():
        logprobs = loaded.model(ids).logits[0].log_softmax(-1)
    handle.remove()
    first = len(request.context)
    found: torch.Tensor = logprobs[first - 1 : -1].gather(1, ids[0, first:, None])[:, 0]
    return found


@pytest.mark.parametrize("positions", ["all", "prompt", "response"])
def test_writing_shifts_the_prompt_or_each_token_that_is_written(loaded: LoadedModel, positions: Positions) -> None:
    """The greedy text is what scoring under the same shift finds most likely, token by token."""
    prompts = [prompt_ids(loaded.tokenizer, text) for text in ("Hello?", "Lunch, or a long walk in the park?")]
    with shifted(loaded, positions):
        replies = greedy_replies(loaded, prompts)
        scores = continuation_likelihoods(loaded, [Request(*each) for each in zip(prompts, replies, strict=True)])
    assert all(score.greedy for score in scores)
    assert replies != greedy_replies(loaded, prompts)


def greedy_replies(loaded: LoadedModel, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Eight tokens after each prompt, written in one batch, padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(each)) + list(each) for each in prompts])
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in prompts])
    with writing(width):
        made = loaded.model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, min_new_tokens=8, max_new_tokens=8
        )
    return [tuple(row[width:].tolist()) for row in made]


@pytest.mark.parametrize("writer", ["ours", "the harness's"])
@pytest.mark.parametrize("positions", ["all", "prompt", "response"])
def test_what_is_written_is_what_a_loop_without_cache_and_batch_writes(
    loaded: LoadedModel, positions: Positions, writer: str
) -> None:
    """Prompts of unlike length in one batch; the loop reads everything anew for each token, one prompt at a time."""
    texts = ["Hello?", "Lunch, or a long walk in the park?", "A book"]
    prompts = [prompt_ids(loaded.tokenizer, text) for text in texts]
    expected = [naive_reply(loaded, prompt, positions) for prompt in prompts]
    with shifted(loaded, positions):
        if writer == "ours":
            found = written_texts(loaded, prompts, temperature=0, max_new_tokens=6, stream="any")
        else:
            asked = [loaded.tokenizer.decode(prompt) for prompt in prompts]
            found = [text.strip() for text in harness_replies(loaded, asked)]
    assert found == expected
    assert expected != [naive_reply(loaded, prompt, None) for prompt in prompts]


def naive_reply(loaded: LoadedModel, prompt: tuple[int, ...], positions: Positions | None) -> str:
    """Six likeliest tokens, up to the end of turn, under a shift of positions counted by hand."""
    at = {"all": slice(None), "prompt": slice(0, len(prompt)), "response": slice(len(prompt) - 1, None)}
    places = at[positions] if positions else slice(0, 0)

    def hook(module: Any, given: Any, hidden: torch.Tensor) -> torch.Tensor:
        raised = hidden.clone()
        raised[:, places] += 0.5
        return raised

    handle, tokens = loaded.model.model.layers[0].register_forward_hook(hook), list(prompt)
    for _ in range(6):
        with torch.no_grad():
            tokens.append(int(loaded.model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
        if tokens[-1] == loaded.tokenizer.eos_token_id:
            break
    handle.remove()
    text: str = loaded.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True)
    return text.strip()


def harness_replies(loaded: LoadedModel, prompts: Sequence[str]) -> list[str]:
    """As a task of lm-evaluation-harness lets the model write."""
    from lm_eval.api.instance import Instance

    options = {"until": ["<|im_end|>"], "max_gen_toks": 6, "do_sample": False}
    asked = [Instance("generate_until", {}, (prompt, options), number) for number, prompt in enumerate(prompts)]
    replies: list[str] = harness_model(loaded).generate_until(asked, disable_tqdm=True)
    return replies


class Layered(torch.nn.Module):
    """A model of one block, which takes its cache under any name."""

    def __init__(self) -> None:
        super().__init__()
        self.block = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(self.block.weight)
        torch.nn.init.zeros_(self.block.bias)

    def forward(self, tokens: int, **cache: object) -> list[float]:
        """Where the block was shifted."""
        shifted: list[float] = self.block(torch.zeros(2, tokens, 1))[1, :, 0].tolist()
        return shifted


@pytest.mark.parametrize("name", ["cache", "past_key_values", "anything"])
def test_no_name_of_a_cache_says_what_a_pass_reads(name: str) -> None:
    model = Layered()
    seen = {}
    for positions in ("prompt", "response"):
        remove = steer_block(model, model.block, torch.ones(1), positions)
        with writing(3):
            seen[positions] = [model(3, **{name: None}), model(1, **{name: object()}), model(1, **{name: object()})]
        remove()
    assert seen["prompt"] == [[1, 1, 1], [0], [0]]
    assert seen["response"] == [[0, 0, 1], [1], [1]]


def test_a_model_without_a_cache_reads_prompt_and_reply_anew() -> None:
    model = Layered()
    remove = steer_block(model, model.block, torch.ones(1), "response")
    with writing(3):
        assert [model(3), model(4), model(5)] == [[0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1, 1]]
    with writing(1):
        assert [model(1), model(2), model(1)] == [[1], [1, 1], [1]]
    remove()


@pytest.mark.parametrize(
    ("passes", "why"), [([2], "pass 1 .* 2 tokens, after prompts of 3"), ([3, 2], "pass 2 .* 2 tokens")]
)
def test_a_pass_that_is_not_as_declared_is_refused(passes: list[int], why: str) -> None:
    """A prompt in pieces, or several tokens at once (a draft by another model), cannot be told apart."""
    model = Layered()
    steer_block(model, model.block, torch.ones(1), "prompt")
    with writing(3), pytest.raises(UnknownPositionsError, match=why):
        [model(tokens) for tokens in passes]


def test_a_pass_of_which_nobody_says_what_it_reads_is_refused_where_it_matters() -> None:
    model = Layered()
    remove = steer_block(model, model.block, torch.ones(1), "all")
    assert model(2) == [1, 1]
    remove()
    steer_block(model, model.block, torch.ones(1), "prompt")
    with pytest.raises(UnknownPositionsError, match="nobody has said"):
        model(2)


# ---------------------------------------------------------------- the subject


def test_a_coefficient_of_zero_scores_as_the_base_and_the_base_comes_back(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    folder = run_benchmark(make_context, model_ref, dialogue_data)

    def scores(at: Steering | None) -> list[dict[str, object]]:
        return assessed(make_context, loaded, contrast_of(model_ref, dialogue_data, at), folder).answers

    base = scores(None)
    assert scores(steering(1, "0")) == base
    strong = scores(steering(1, "2"))
    assert strong != base
    assert scores(steering(1, "-2")) not in (base, strong), "another coefficient is another subject"
    assert scores(steering(2, "2")) != strong
    assert scores(steering(1, "2")) == strong
    assert scores(None) == base
    assert hooks_of(loaded.model) == 0
    scores(steering(1, "2"))
    leave_subject(make_context(contrast_of(model_ref, dialogue_data)), loaded)
    assert hooks_of(loaded.model) == 0
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


def test_steering_raises_the_projection_by_coefficient_times_length(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> None:
    """A normalised direction has length 1, so that the coefficient is the shift itself."""
    folder = run_benchmark(make_context, model_ref, dialogue_data)
    direction = tensors(folder)["direction"][0]
    ids = torch.tensor([prompt_ids(loaded.tokenizer, "Hello?")])

    def projection(at: Steering | None) -> float:
        seen: list[torch.Tensor] = []
        params = contrast_of(model_ref, dialogue_data, at)
        context = assess_context(make_context, params, folder)
        block = loaded.model.model.layers[0]
        with subject(context, loaded, params), seen_by([block], seen.append), torch.no_grad(), reading("prompt_end"):
            loaded.model(ids)
        return float(seen[0][0, -1] @ direction / direction.norm())

    base, length = projection(None), float(direction.norm())
    assert projection(steering(1, "1.5")) - base == pytest.approx(1.5 * length, rel=1e-3)
    assert projection(steering(1, "-1.5")) - base == pytest.approx(-1.5 * length, rel=1e-3)
    assert projection(steering(1, "1.5", normalise=True)) - base == pytest.approx(1.5, rel=1e-3)


def test_the_reply_contrast_follows_the_direction(
    make_context: MakeContext, model_folder: Path, tmp_path: Path, locations: dict[str, str], dialogue_data: FileData
) -> None:
    """In a model whose blocks pass on what they get, so that the direction is that of the words of the replies:
    along it the words of the high replies become likelier, against it those of the low ones."""
    folder = model_of_words(model_folder, tmp_path / "words")
    locations[digest_path(folder)] = str(folder)
    model = FolderModel(digest=digest_path(folder))
    direction = run_benchmark(make_context, model, dialogue_data)
    loaded = open_model(make_context(contrast_of(model, dialogue_data)), model)

    def contrast(coefficient: str) -> float:
        params = contrast_of(model, dialogue_data, steering(1, coefficient))
        value = assessed(make_context, loaded, params, direction).metrics[0].value
        assert value is not None
        return value

    values = [contrast(coefficient) for coefficient in ("-2", "-1", "0", "1", "2")]
    assert values == sorted(values)
    assert values[0] < values[2] - 0.2
    assert values[4] > values[2] + 0.2


def model_of_words(model_folder: Path, folder: Path) -> Path:
    """The tiny Llama with blocks that add nothing: it finds a token likely that resembles the one before."""
    shutil.copytree(model_folder, folder)
    network = load_network(str(folder), torch.float32)
    for block in decoder_blocks(network):
        for linear in (block.self_attn.o_proj, block.mlp.down_proj):  # type: ignore[union-attr]  # a Llama's
            torch.nn.init.zeros_(linear.weight)  # type: ignore[union-attr,arg-type]
    network.save_pretrained(folder)
    return folder
