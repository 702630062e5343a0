"""Read replies that are there: one forward pass over many, with the positions that count in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from traitgraph.runtime.data.conversations import Said
from traitgraph.runtime.models.chat import PromptMessage, turn
from traitgraph.runtime.models.likelihood import BATCH_TOKENS, Tokens, batches_by_length, padded
from traitgraph.runtime.models.loading import LoadedModel

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


class SteeringError(ValueError):
    """A model, or what was measured of it, that cannot be steered as asked."""


class Span(NamedTuple):
    """Tokens of a conversation; positions from `first` on count."""

    tokens: Tokens
    first: int


def reply_span(
    tokenizer: PreTrainedTokenizerBase, prompt: Said, reply: str, prompt_message: PromptMessage | None = None
) -> Span:
    """The tokens of a reply, without those that end the turn, after its prompt."""
    before, after = turn(tokenizer, prompt, reply, prompt_message)
    special = set(tokenizer.all_special_ids)
    while after and after[-1] in special:
        after = after[:-1]
    if not after:
        raise SteeringError(f"the reply {reply!r} has no token")
    return Span(before + after, len(before))


def in_batches(loaded: LoadedModel, spans: Sequence[Span]) -> list[list[Span]]:
    """Spans of like length together, the longest first; the same batches whenever they are asked for."""
    size = BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["cpu"])
    return [[spans[at] for at in batch] for batch in batches_by_length([len(each.tokens) for each in spans], size)]


def counted(spans: Sequence[Span], device: torch.device) -> torch.Tensor:
    """Which positions count, true or false: [rows, tokens], padded on the right."""
    import torch

    mask = padded([((), each.tokens) for each in spans], device).mask
    first = torch.tensor([each.first for each in spans], device=device)[:, None]
    return (torch.arange(mask.shape[1], device=device) >= first) & mask.bool()


def read_batch(loaded: LoadedModel, spans: Sequence[Span]) -> None:
    """One forward pass over a batch, padded on the right; hooks on the model see it."""
    import torch

    rows = padded([((), each.tokens) for each in spans], loaded.device)
    with torch.inference_mode():
        loaded.model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False, logits_to_keep=1)
