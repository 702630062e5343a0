"""Scoring with shared prefixes equals scoring one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from traitgraph.runtime.models import likelihood
from traitgraph.runtime.models.generation import written_texts
from traitgraph.runtime.models.likelihood import NoNumbersError, Request, continuation_likelihoods, shared_prefix
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.store.errors import cause_of


def one_by_one(loaded: LoadedModel, request: Request) -> list[float]:
    """The reference: one plain forward pass over context and continuation."""
    import torch

    ids = torch.tensor([[*request.context, *request.continuation]])
    with torch.inference_mode():
        logprobs = loaded.model(input_ids=ids).logits.float().log_softmax(-1)[0]
    start = len(request.context) - 1
    return [logprobs[start + at, token].item() for at, token in enumerate(request.continuation)]


REQUESTS = [
    Request((1, 5, 6, 7, 8, 9), (40, 41, 42)),
    Request((1, 5, 6, 7, 8, 9), (43,)),
    Request((1, 5, 6, 50), (44, 45, 46, 47, 48)),
    Request((1, 5, 6, 7, 8, 9), (49, 50)),
    Request((1, 5, 6, 60, 61, 62, 63, 64, 65), (51,)),
    Request((1, 5, 6, 60, 61, 62, 63, 64, 65), (52, 53)),
]


@pytest.mark.parametrize("batch_tokens", [1, 12, 4096], ids=["row by row", "some batches", "one batch"])
@pytest.mark.parametrize(
    "requests", [REQUESTS, REQUESTS[:1], [Request((7, 8), (9, 10)), Request((9,), (9, 10))]],
    ids=["shared prefix", "one context", "nothing shared"],
)  # fmt: skip
def test_equals_uncached_scoring(
    loaded: LoadedModel, requests: list[Request], batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is shared and however rows are batched, every token's log-likelihood is that of a plain forward pass."""
    monkeypatch.setitem(likelihood.BATCH_TOKENS, "cpu", batch_tokens)
    for request, score in zip(requests, continuation_likelihoods(loaded, requests), strict=True):
        assert score.logprobs == pytest.approx(one_by_one(loaded, request), abs=2e-5)


WINDOWS = {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}
DELTAS = {f"linear_{name}_head_dim": 8 for name in ("key", "value")} | {"linear_num_key_heads": 2}


@pytest.mark.parametrize("batch_tokens", [1, 24, 4096], ids=["row by row", "some batches", "one batch"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("MistralConfig", {"sliding_window": 5}),
        ("MistralConfig", {"sliding_window": 100}),
        ("Gemma3TextConfig", {"query_pre_attn_scalar": 8, **WINDOWS}),
        ("Lfm2Config", {"layer_types": ["conv", "full_attention"]}),
        ("Qwen3_5TextConfig", {"layer_types": ["linear_attention", "full_attention"], **DELTAS}),
    ],
    ids=["beyond a window", "within a window", "some windows", "convolutions", "recurrent"],
)
def test_layers_that_do_not_see_everything_score_as_without_a_cache(
    loaded: LoadedModel, kind: str, options: dict[str, Any], batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Padding between a prefix and the rest would take places of a window, and change a recurrent state."""
    import torch
    import transformers

    small = {"vocab_size": 70, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8,
             "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1}  # fmt: skip
    torch.manual_seed(3)
    config = getattr(transformers, kind)(**small, **options, initializer_range=0.2)
    other = replace(loaded, model=transformers.AutoModelForCausalLM.from_config(config).eval())
    monkeypatch.setitem(likelihood.BATCH_TOKENS, "cpu", batch_tokens)
    for request, score in zip(REQUESTS, continuation_likelihoods(other, REQUESTS), strict=True):
        assert score.logprobs == pytest.approx(one_by_one(other, request), abs=2e-5)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_cache_has_the_name_that_the_model_gives_it(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the signature: transformers renamed it once, a model with code of its own keeps the old name."""
    expected = continuation_likelihoods(loaded, REQUESTS)
    given, forward, taken = loaded.cache_name, loaded.model.forward, []

    def by_cache(*args: Any, cache: Any = None, **named: Any) -> dict[str, Any]:
        taken.append(cache)
        out = forward(*args, **{given: cache}, **named)
        return Out(logits=out.logits, **{name: out[given]})

    def by_past_key_values(*args: Any, past_key_values: Any = None, **named: Any) -> dict[str, Any]:
        return by_cache(*args, cache=past_key_values, **named)

    monkeypatch.setattr(loaded.model, "forward", by_cache if name == "cache" else by_past_key_values)
    assert loaded.cache_name == name
    assert continuation_likelihoods(loaded, REQUESTS) == expected
    assert any(cache is not None for cache in taken)


class Out(dict[str, Any]):
    """What a model gives back, under the names that it is made with."""

    __getattr__ = dict.__getitem__


@pytest.mark.parametrize("work", ["score", "write", "sample"])
def test_a_model_that_computes_nan_is_refused(loaded: LoadedModel, work: str) -> None:
    """Else a greedy text would be made of the first token, and means would be empty without a reason."""
    loaded.model.get_input_embeddings().weight.data.fill_(float("nan"))

    def do() -> object:
        if work == "score":
            return continuation_likelihoods(loaded, REQUESTS)
        return written_texts(loaded, [(1, 5)], temperature=float(work == "sample"), max_new_tokens=3, stream="0")

    with pytest.raises(NoNumbersError, match="computes NaN: the strength of this subject") as raised:
        do()
    assert cause_of(raised.value) == "the model computes NaN"


def test_greedy_means_every_token_is_the_most_likely(loaded: LoadedModel) -> None:
    """A greedily decoded continuation is greedy; changing its last token makes it not."""
    import torch

    context = (1, 5, 6, 7)
    ids = torch.tensor([context])
    made = loaded.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=4, eos_token_id=None
    )
    best = tuple(made[0, len(context) :].tolist())
    worse = (*best[:-1], (best[-1] + 1) % 300)
    scores = continuation_likelihoods(loaded, [Request(context, best), Request(context, worse), Request((1, 5), best)])
    assert [score.greedy for score in scores[:2]] == [True, False]


def test_shared_prefix_leaves_one_token_of_each() -> None:
    """The prefix never swallows a whole context: its last token must be computed to predict what follows."""
    assert shared_prefix([(1, 2, 3), (1, 2, 4)]) == 2
    assert shared_prefix([(1, 2), (1, 2, 4)]) == 1
    assert shared_prefix([(1,), (2,)]) == 0
