"""Score given continuations of given contexts, computing every shared token once.

Three layers: the prefix that all contexts share is computed once; the rest of each distinct context is computed in
batches on top of it; continuations longer than one token are hung on their contexts. A one-token continuation needs no
forward pass of its own: the distribution after its context holds it.

Caches hold what attention sees, as long as it sees everything. Beyond a sliding window, and in recurrent layers, they
do not, and nothing is shared.

Only forward passes: adapters, hooks and changed weights of a subject act as they do anywhere else.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .forward_pass import reading

if TYPE_CHECKING:
    import torch
    from transformers import Cache

    from .loading import LoadedModel


Tokens = tuple[int, ...]

BATCH_TOKENS = {"cpu": 256, "cuda": 8192}
"""Padded tokens in one forward pass. [tokens] More gains nothing on a processor and costs memory for logits."""


class NoNumbersError(ArithmeticError):
    """The model computes NaN: no answer of this subject would mean anything."""

    def __init__(self) -> None:
        super().__init__(
            "the model computes NaN: the strength of this subject carries it out of its number format, or its weights "
            "are broken; try a strength nearer to 0, or `dtype: float32`"
        )


class Request(NamedTuple):
    """A continuation to score after a context; neither is empty."""

    context: Tokens
    continuation: Tokens


class Likelihood(NamedTuple):
    """What a model thinks of one continuation."""

    logprobs: tuple[float, ...]
    """log p of each token of the continuation. [nats]"""
    greedy: bool
    """Whether every token is the most likely one at its place."""

    @property
    def total(self) -> float:
        """log p of the whole continuation. [nats]"""
        return sum(self.logprobs)

    @property
    def per_token(self) -> float:
        """Mean log p of its tokens. [nats/token]"""
        return self.total / len(self.logprobs)


def continuation_likelihoods(
    loaded: LoadedModel, requests: Sequence[Request], on_batch: Callable[[int, int], None] | None = None
) -> list[Likelihood]:
    """The likelihood of each request, in order; equal to scoring one by one without a cache, up to rounding.

    `on_batch(done, total)` hears how many distinct contexts are finished. Softmax runs in float32. Raises
    NoNumbersError.
    """
    import torch

    assert all(request.context and request.continuation for request in requests), "nothing to score or to score after"
    columns = sum(max((len(request[part]) for request in requests), default=0) for part in (0, 1))
    # On a cache all continuations begin in one column: padding stands between their tokens and those of the context.
    way = _without_cache if columns > _reach(loaded) else _after_shared_contexts
    total, scores = len({request.context for request in requests}), dict[int, Likelihood]()
    with torch.inference_mode():
        for found in way(loaded, requests):
            scores |= found
            if on_batch is not None:
                on_batch(len({requests[index].context for index in scores}), total)
    return [scores[index] for index in range(len(requests))]


def _reach(loaded: LoadedModel) -> float:
    """Over how many columns padding may stand between tokens: a window's width, in recurrent layers none."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    layers = DynamicCache(config=loaded.model.config).layers
    widths = [layer.sliding_window if type(layer) is DynamicSlidingWindowLayer else 0
              for layer in layers if type(layer) is not DynamicLayer]  # fmt: skip
    return min(widths, default=math.inf)


class Padded(NamedTuple):
    """Texts below each other, padded on both sides so that what follows each context begins in one column."""

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    start: int
    """Column in which what follows begins."""


def padded(pairs: Sequence[tuple[Tokens, Tokens]], device: torch.device, pad: int = 0) -> Padded:
    """Contexts and what follows them as the input of one pass, tensors [rows, tokens] on a device.

    Where nothing follows, all end in the last column; where there is no context, all begin in the first.
    """
    import torch

    start, width = (max(len(pair[part]) for pair in pairs) for part in (0, 1))
    ids = torch.full((len(pairs), start + width), pad)
    mask = torch.zeros_like(ids)
    for row, (context, after) in enumerate(pairs):
        there = slice(start - len(context), start + len(after))
        ids[row, there], mask[row, there] = torch.tensor([*context, *after]), 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Padded(ids.to(device), mask.to(device), positions.to(device), start)


def _without_cache(loaded: LoadedModel, requests: Sequence[Request]) -> Iterator[dict[int, Likelihood]]:
    """Every request read from its first token on."""
    size = BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["cpu"])
    for batch in batches_by_length([len(context) + len(after) for context, after in requests], size):
        rows = padded([requests[index] for index in batch], loaded.device)
        with reading(rows.start):
            logits = loaded.model(
                input_ids=rows.ids,
                attention_mask=rows.mask,
                position_ids=rows.positions,
                use_cache=False,
                logits_to_keep=rows.ids.shape[1] - rows.start + 1,
            ).logits  # [rows, longest continuation + 1, vocabulary]
        found = {}
        for row, index in enumerate(batch):
            tokens = list(requests[index].continuation)
            logprobs, greedy = zip(*_picked(logits[row, : len(tokens)], tokens), strict=True)
            found[index] = Likelihood(logprobs, all(greedy))
        yield found


def _after_shared_contexts(loaded: LoadedModel, requests: Sequence[Request]) -> Iterator[dict[int, Likelihood]]:
    """Every token that requests share read once."""
    children: dict[Tokens, list[int]] = {}
    for index, request in enumerate(requests):
        children.setdefault(request.context, []).append(index)
    trunk = _Trunk(loaded, tuple(children))
    for batch in batches_by_length([len(context) - trunk.prefix for context in children], trunk.batch_tokens):
        contexts = [trunk.contexts[position] for position in batch]
        yield _score_batch(trunk, contexts, {context: children[context] for context in contexts}, requests)


def shared_prefix(sequences: Sequence[Tokens]) -> int:
    """How many leading tokens all sequences share, leaving at least one token of each."""
    first, last = min(sequences), max(sequences)  # the extremes of the order differ earliest
    limit = min(map(len, sequences)) - 1
    return next((at for at in range(limit) if first[at] != last[at]), limit)


class _Trunk:
    """Distinct contexts with their shared prefix computed once."""

    def __init__(self, loaded: LoadedModel, contexts: Sequence[Tokens]) -> None:
        self.loaded = loaded
        self.contexts = contexts
        self.batch_tokens = BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["cpu"])
        # One context shares everything with itself; a cache would only be copied.
        self.prefix = shared_prefix(contexts) if len(contexts) > 1 else 0
        self._cache: Cache | None = None
        if self.prefix:
            ids = padded([(contexts[0][: self.prefix], ())], loaded.device).ids
            with reading("prompt"):
                self._cache = loaded.model(input_ids=ids, use_cache=True, logits_to_keep=1)[loaded.cache_name]

    def extend(self, contexts: Sequence[Tokens], *, keep: bool) -> tuple[torch.Tensor, Cache | None, torch.Tensor]:
        """Logits after each context [rows, vocabulary], their cache when it is kept, and its mask [rows, tokens]."""
        from torch.nn.functional import pad

        # Every context ends in the last column, so that only that column needs the vocabulary.
        rests = padded([(context[self.prefix :], ()) for context in contexts], self.loaded.device)
        mask = pad(rests.mask, (self.prefix, 0), value=1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, self.prefix :]
        cache = copy.deepcopy(self._cache)
        if cache is not None:
            cache.batch_repeat_interleave(len(contexts))
        with reading("prompt_end"):
            out = self.loaded.model(
                input_ids=rests.ids,
                attention_mask=mask,
                position_ids=positions,
                **{self.loaded.cache_name: cache},
                use_cache=keep or cache is not None,
                logits_to_keep=1,
            )
        return out.logits[:, -1], out[self.loaded.cache_name] if keep else None, mask

    def continue_from(
        self, cache: Cache, mask: torch.Tensor, parents: Sequence[int], continuations: Sequence[Tokens]
    ) -> torch.Tensor:
        """Logits after each token of continuations of context rows `parents`. [rows, tokens, vocabulary]

        Changes the cache: it holds the continuations afterwards.
        """
        import torch

        own = padded([((), tokens) for tokens in continuations], self.loaded.device)
        rows = torch.tensor(parents, device=mask.device)
        cache.batch_select_indices(rows)
        seen = mask[rows]
        positions = seen.sum(1, keepdim=True) + torch.arange(own.ids.shape[1], device=mask.device)
        with reading("reply"):
            logits: torch.Tensor = self.loaded.model(
                input_ids=own.ids,
                attention_mask=torch.cat([seen, own.mask], dim=1),
                position_ids=positions,
                **{self.loaded.cache_name: cache},
                use_cache=True,
            ).logits
        return logits


def _score_batch(
    trunk: _Trunk, contexts: Sequence[Tokens], children: dict[Tokens, list[int]], requests: Sequence[Request]
) -> dict[int, Likelihood]:
    """The scores of all continuations of some contexts."""
    scores: dict[int, Likelihood] = {}
    owners = [(row, index) for row, context in enumerate(contexts) for index in children[context]]
    longer = [(row, index) for row, index in owners if len(requests[index].continuation) > 1]
    logits, cache, mask = trunk.extend(contexts, keep=bool(longer))
    first = _picked(logits[[row for row, _ in owners]], [requests[index].continuation[0] for _, index in owners])
    for (_, index), (logprob, best) in zip(owners, first, strict=True):
        scores[index] = Likelihood((logprob,), best)
    if cache is None:
        return scores
    widths = [len(requests[index].continuation) - 1 for _, index in longer]
    batches = list(batches_by_length(widths, trunk.batch_tokens))
    for number, batch in enumerate(batches):
        some = [longer[position] for position in batch]
        branch = cache if number == len(batches) - 1 else copy.deepcopy(cache)
        tails = [requests[index].continuation for _, index in some]
        logits = trunk.continue_from(branch, mask, [row for row, _ in some], [tail[:-1] for tail in tails])
        for row, (_, index) in enumerate(some):
            rest = _picked(logits[row, : len(tails[row]) - 1], list(tails[row][1:]))
            before = scores[index]
            scores[index] = Likelihood(
                (*before.logprobs, *(logprob for logprob, _ in rest)), before.greedy and all(best for _, best in rest)
            )
    return scores


def _picked(logits: torch.Tensor, tokens: list[int]) -> list[tuple[float, bool]]:
    """log p of one token a row, and whether it is the most likely one. logits: [rows, vocabulary]

    Raises NoNumbersError.
    """
    import torch

    exact = logits.float()
    chosen = exact.gather(1, torch.tensor(tokens, device=exact.device)[:, None])[:, 0]
    logprobs = chosen - exact.logsumexp(1)
    if bool(logprobs.isnan().any()):
        raise NoNumbersError
    greedy = chosen >= exact.amax(1)
    return list(zip(logprobs.tolist(), greedy.tolist(), strict=True))


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Positions grouped by falling length, so that the rows of a batch need little padding."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
