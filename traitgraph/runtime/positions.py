"""Which tokens of a forward pass are prompt and which are reply, for subjects that act on some of them only.

A position belongs to the reply when a token of the reply is predicted at it: the last position of the prompt, and all
of the reply. Whoever reads prompts and replies apart says so (`reading`). Of other passes, those of generation, the
first reads the prompt, up to its end, and those on top of a cache read the reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Part = Literal["prompt", "prompt_end", "reply"] | int
"""What a pass reads: a beginning of prompts; prompts up to where the reply begins, padded on the left; replies. Both
prompts and replies: the column in which every reply begins."""
Positions = Literal["all", "prompt", "response"]

_declared: ContextVar[Part | None] = ContextVar("part", default=None)
_NONE, _LAST, _ALL = slice(0, 0), slice(-1, None), slice(None)


@contextmanager
def reading(part: Part) -> Iterator[None]:
    """Say what the forward passes of the block read."""
    token = _declared.set(part)
    try:
        yield
    finally:
        _declared.reset(token)


class Passes:
    """Knows of the pass that a model is making which of its positions are meant, until `remove` is called."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._part: Part = "prompt_end"
        self._handle = model.register_forward_pre_hook(self._begin, with_kwargs=True)

    def _begin(self, model: torch.nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        cache = named.get("past_key_values")
        begins = cache is None or not cache.get_seq_length()
        self._part = _declared.get() or ("prompt_end" if begins else "reply")

    def columns(self, positions: Positions) -> slice:
        """Columns of the pass, of any tensor [rows, tokens, ...], that stand for these positions."""
        if positions == "all":
            return _ALL
        if isinstance(self._part, int):
            return slice(0, self._part) if positions == "prompt" else slice(self._part - 1, None)
        if positions == "prompt":
            return _NONE if self._part == "reply" else _ALL
        return {"prompt": _NONE, "prompt_end": _LAST, "reply": _ALL}[self._part]

    def remove(self) -> None:
        """Look at passes no more."""
        self._handle.remove()
