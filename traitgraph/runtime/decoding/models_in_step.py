"""Several distributions over the next token from one loaded model: one forward pass, one copy of the weights.

A variant is the model with an adapter or without one, and has read a prompt of its own. The variants of one model stand
below each other in one batch, and an adapter acts on the rows of its variant alone. That is why an expert costs no
second copy of the weights, and less than a second pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from traitgraph.runtime.models.likelihood import Tokens
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.models.positions import reading
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.vectors.hooks import Removable, Rows, Terms, add_low_rank

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Variant:
    """A model, and the low-rank change that makes it somebody else; no change is the model itself."""

    loaded: LoadedModel
    changes: Mapping[str, Terms] = field(default_factory=dict)


class VariantsInStep:
    """The variants of one loaded model, stepped together; use it in a `with` block, which takes the adapters away.

    Every variant reads one prompt for each row, then the same new tokens. Row r of variant v is row v * rows + r of the
    batch.
    """

    def __init__(self, variants: Sequence[Variant]) -> None:
        self.variants = tuple(variants)
        self._loaded = variants[0].loaded
        assert all(variant.loaded is self._loaded for variant in variants), "variants of one model"
        self._rows = 0
        self._cache: Any = None
        self._mask: torch.Tensor
        self._removers: list[Removable] = []

    def __enter__(self) -> Self:
        for number, variant in enumerate(self.variants):
            if variant.changes:
                self._removers.append(add_low_rank(self._loaded.model, variant.changes, self._rows_of(number)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._removers:
            self._removers.pop()()
        self._cache = None

    def _rows_of(self, number: int) -> Rows:
        def rows(batch: int) -> slice:
            if batch != len(self.variants) * self._rows:
                raise MergeError(
                    "a layer of this model sees tokens without their rows (a mixture of experts?), so that an adapter "
                    "cannot act on some rows of it; train every weight of the expert, or other layers"
                )
            return slice(number * self._rows, (number + 1) * self._rows)

        return rows

    def read(self, prompts: Sequence[Sequence[Tokens]]) -> torch.Tensor:
        """Start anew with a prompt for each row of each variant; logits of the next token, [variants, rows, tokens]."""
        import torch

        self._rows = len(prompts[0])
        flat = [prompt for each in prompts for prompt in each]
        width, pad = max(map(len, flat)), self._loaded.tokenizer.pad_token_id
        device = self._loaded.device
        ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in flat], device=device)
        self._mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in flat], device=device)
        self._cache = None
        with reading("prompt_end"):
            return self._forward(ids, (self._mask.cumsum(-1) - 1).clamp(min=0))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one more token in each row, [rows]; logits of the next one, [variants, rows, tokens]."""
        import torch

        ids = tokens.repeat(len(self.variants)).unsqueeze(-1)
        positions = self._mask.sum(-1, keepdim=True)
        self._mask = torch.cat([self._mask, torch.ones_like(ids)], dim=-1)
        with reading("reply"):
            return self._forward(ids, positions)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only (their numbers, ascending): the others have come to their end."""
        import torch

        every = torch.cat([rows + number * self._rows for number in range(len(self.variants))])
        self._mask = self._mask[every]
        self._cache.batch_select_indices(every)
        self._rows = len(rows)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        done = self._loaded.model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            **{self._loaded.cache_name: self._cache},
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = done[self._loaded.cache_name]
        logits: torch.Tensor = done.logits[:, -1]
        return logits.view(len(self.variants), self._rows, -1)
