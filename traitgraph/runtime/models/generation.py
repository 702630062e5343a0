"""Let a model write: sampled texts that depend on the prompt, the settings and a named stream alone.

The model in this process does, or the engine of a package that `sampling` names. An engine is given the loaded model as
it stands as the subject. It may run it elsewhere, but must answer as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from traitgraph.specs.study.training import ENGINES, OWN_ENGINE, AnswerEngine, Sampling

from .forward_pass import writing
from .likelihood import Likelihood, NoNumbersError, Request, Tokens, continuation_likelihoods, padded

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel

    from .loading import LoadedModel


BATCH_ROWS = {"cpu": 8, "cuda": 64}


class Written(NamedTuple):
    """One text, without special tokens and outer white space."""

    text: str
    finished: bool
    """Whether the model ended it, before `max_new_tokens`."""


def written_texts(loaded: LoadedModel, prompts: Sequence[Tokens], **settings: Any) -> list[str]:
    """One text for each prompt, in order, as `written` writes them with these settings."""
    return [each.text for each in written(loaded, prompts, **settings)]


def written(
    loaded: LoadedModel,
    prompts: Sequence[Tokens],
    *,
    temperature: float,
    max_new_tokens: int,
    stream: str,
    repetition_penalty: float = 1.0,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[Written]:
    """One text for each prompt, in order.

    Plain sampling from the whole distribution; temperature 0 takes the likeliest token. The model's own generation
    settings (top-p, penalties) do not count, only what ends a text. `stream` names the random numbers: equal names,
    prompts and settings give equal texts, whatever was drawn before. Raises NoNumbersError.
    """
    import torch

    settings = _settings(loaded, temperature, max_new_tokens, repetition_penalty)
    rows = BATCH_ROWS.get(loaded.device.type, BATCH_ROWS["cpu"])
    texts: list[Written] = []
    for start in range(0, len(prompts), rows):
        with torch.random.fork_rng(), torch.inference_mode():
            name = blake2b(f"write/{stream}/{start}".encode(), digest_size=8).digest()
            torch.manual_seed(int.from_bytes(name) >> 1)  # less than 2**63, as torch's generators want it
            texts += _batch(loaded, prompts[start : start + rows], settings)
        if on_batch is not None:
            on_batch(len(texts), len(prompts))
    return texts


def _settings(
    loaded: LoadedModel, temperature: float, max_new_tokens: int, repetition_penalty: float
) -> GenerationConfig:
    from transformers import GenerationConfig

    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}
    return GenerationConfig(
        **{"do_sample": False, **sampling},
        max_new_tokens=max_new_tokens,
        repetition_penalty=repetition_penalty,
        eos_token_id=sorted(end_tokens(loaded)) or None,
        pad_token_id=loaded.tokenizer.pad_token_id,
    )


def _batch(loaded: LoadedModel, prompts: Sequence[Tokens], settings: GenerationConfig) -> list[Written]:
    rows = padded([(prompt, ()) for prompt in prompts], loaded.device, loaded.tokenizer.pad_token_id)
    with _only_what_is_given(loaded.model), writing(rows.start):
        made = loaded.model.generate(
            input_ids=rows.ids, attention_mask=rows.mask, generation_config=settings, logits_processor=[_numbers]
        )
    tokens, ends = made[:, rows.start :].tolist(), end_tokens(loaded)
    replies = [list(takewhile(lambda token: token not in ends, row)) for row in tokens]
    texts: list[str] = loaded.tokenizer.batch_decode(replies, skip_special_tokens=True)
    return [
        Written(text.strip(), len(reply) < len(row)) for text, reply, row in zip(texts, replies, tokens, strict=True)
    ]


@contextmanager
def _only_what_is_given(model: PreTrainedModel) -> Iterator[None]:
    """Keep transformers from filling up what is not given with the model's own settings (min-p, blocked n-grams)."""
    from transformers import GenerationConfig

    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def end_tokens(loaded: LoadedModel) -> set[int]:
    """Tokens that end a reply: the model's own, and its tokenizer's."""
    own = loaded.model.generation_config.eos_token_id if loaded.model.generation_config else None
    ends = own if isinstance(own, list) else [own]
    return {int(end) for end in (*ends, loaded.tokenizer.eos_token_id) if end is not None}


def _numbers(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The logits as they are. Raises NoNumbersError where a greedy choice would make a text of NaN."""
    if bool(logits.isnan().any()):
        raise NoNumbersError
    return logits


class Engine(Protocol):
    """Writes texts and scores given ones."""

    def write(
        self,
        loaded: LoadedModel,
        prompts: Sequence[Tokens],
        *,
        temperature: float,
        max_new_tokens: int,
        stream: str,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> list[Written]:
        """A text for each prompt, in order; equal names of a `stream` give equal texts."""
        ...

    def likelihoods(
        self, loaded: LoadedModel, requests: Sequence[Request], on_batch: Callable[[int, int], None] | None = None
    ) -> list[Likelihood]:
        """How likely each continuation is, in order."""
        ...


class InProcess(AnswerEngine):
    """The model as transformers runs it here."""

    name: ClassVar[str] = OWN_ENGINE
    write = staticmethod(written)
    likelihoods = staticmethod(continuation_likelihoods)


def engine_of(sampling: Sampling) -> Engine:
    """The engine that answers are drawn with."""
    engine: Any = ENGINES.get(sampling.engine or OWN_ENGINE)()
    return engine  # type: ignore[no-any-return]  # which methods it has is only known here
