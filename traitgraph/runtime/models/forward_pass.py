"""A forward pass: the blocks that it goes through, what they put out, and which of its tokens are prompt and reply.

A position belongs to the reply when a token of the reply is predicted at it: the last position of the prompt, and all
of the reply. Whoever makes passes says what they read (`reading`, `writing`): nothing of a pass itself tells, least of
all under which name a library hands over its cache. A pass of which nobody has said it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


Part = Literal["prompt", "prompt_end", "reply"] | int
"""What a pass reads: a beginning of prompts; prompts up to where the reply begins, padded on the left; replies. Both
prompts and replies: the column in which every reply begins."""
Positions = Literal["all", "prompt", "response"]

_NONE, _LAST, _ALL = slice(0, 0), slice(-1, None), slice(None)


class UnknownPositionsError(RuntimeError):
    """A pass of which nobody knows where its replies begin: to steer some of its positions would be a guess."""


@dataclass(frozen=True, eq=False)
class _Generation:
    """A block in which the model writes."""

    columns: int
    """Of its prompts."""


_declared: ContextVar[Part | _Generation | None] = ContextVar("part", default=None)


@contextmanager
def reading(part: Part | _Generation) -> Iterator[None]:
    """Say what the forward passes of the block read."""
    token = _declared.set(part)
    try:
        yield
    finally:
        _declared.reset(token)


def writing(columns: int) -> AbstractContextManager[None]:
    """Say that the model writes in the block, after prompts of so many columns, padded on the left.

    The first pass reads the prompts, each later one the token that was written last, or everything again.
    """
    return reading(_Generation(columns))


class Passes:
    """Knows of the pass that a model is making which of its positions are meant, until `remove` is called."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._declared: Part | _Generation | None = None
        self._number = 0
        self._handle = model.register_forward_pre_hook(self._begin)

    def _begin(self, model: torch.nn.Module, given: tuple[Any, ...]) -> None:
        declared = _declared.get()
        self._number = self._number + 1 if declared is self._declared else 1
        self._declared = declared

    def columns(self, positions: Positions, tokens: int) -> slice:
        """Columns of a pass over `tokens` columns, of any tensor [rows, tokens, ...], that stand for these positions.

        Raises UnknownPositionsError for some positions of a pass of which nobody has said, or wrongly, what it reads.
        """
        if positions == "all":
            return _ALL
        part = self._part(tokens)
        if isinstance(part, int):
            return slice(0, part) if positions == "prompt" else slice(part - 1, None)
        if positions == "prompt":
            return _NONE if part == "reply" else _ALL
        return {"prompt": _NONE, "prompt_end": _LAST, "reply": _ALL}[part]

    def _part(self, tokens: int) -> Part:
        declared = self._declared
        if declared is None:
            raise UnknownPositionsError("a pass of which nobody has said whether it reads a prompt or a reply")
        if not isinstance(declared, _Generation):
            return declared
        written = self._number - 1
        if tokens == declared.columns + written:
            return declared.columns if written else "prompt_end"
        if tokens == 1 and written:
            return "reply"
        raise UnknownPositionsError(
            f"pass {self._number} of a generation reads {tokens} tokens, after prompts of {declared.columns}: here the "
            "library does not write token by token, so that prompt and reply cannot be told apart"
        )

    def remove(self) -> None:
        """Look at passes no more."""
        self._handle.remove()


def decoder_blocks(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The decoder's blocks from the first to the last, whatever the architecture calls them.

    Raises ValueError for a model without a list of as many modules as its configuration has layers.
    """
    import torch

    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.get_decoder().modules():  # parents first: lists inside of blocks come later
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    raise ValueError(f"{type(model).__name__} has no list of {count} decoder blocks that could be read or changed")


@contextmanager
def seen_by(
    modules: Sequence[torch.nn.Module], look: Callable[[torch.Tensor], object], device: torch.device | None = None
) -> Iterator[None]:
    """Show the output of each module to `look`, in the order in which they run, inside the block.

    With a device it is brought there first: a large model may be spread over several.

    That of a decoder block is [batch, tokens, hidden], and not normed, unlike the last of the `hidden_states` of
    transformers. Hooks that stand on the modules already act first.
    """

    def hook(module: Any, given: Any, output: Any) -> None:
        values: torch.Tensor = output[0] if isinstance(output, tuple) else output
        look(values.to(device or values.device))

    with ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(module.register_forward_hook(hook))
        yield
