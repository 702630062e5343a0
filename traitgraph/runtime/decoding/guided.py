"""Write replies token by token from the combined distribution of a model and its experts.

`sum` and `difference` are different methods. With w = gamma / (1 + gamma),

    z_base + gamma * z_expert = (1 + gamma) * (z_base + w * (z_expert - z_base)),

so `sum` at gamma is `difference` from the base at w with the temperature divided by 1 + gamma: it never reaches the
expert, and it sharpens. Under greedy decoding only the weight is left.

The variants of one loaded model (with an adapter or without one, each with a prompt of its own) stand below each other
in one batch, and an adapter acts on the rows of its variant alone. That is why an expert costs no second copy of the
weights, and less than a second pass.

A draw depends on the seed, the name of the reply and the place in it alone, so that neither the size of a batch nor
what was written before changes a reply (but for rounding).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from traitgraph.runtime.models.forward_pass import reading
from traitgraph.runtime.models.generation import end_tokens
from traitgraph.runtime.models.likelihood import NoNumbersError, Tokens, padded
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.vectors.hooks import Rows, Terms, add_low_rank

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Guidance:
    """How the distributions are combined."""

    combine: Literal["sum", "difference"]
    gamma: float
    """Strength of the expert; 0 is the model alone."""
    filter_p: float | None = None
    """Nucleus that the model's own distribution is cut to first (DExperts); None: no cut."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn from the combined distribution."""

    temperature: float
    """0 takes the likeliest token."""
    max_new_tokens: int
    top_p: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One written reply."""

    tokens: Tokens
    """Without the token that ends it."""
    finished: bool
    """Whether it came to its end; else it was cut at `max_new_tokens`."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A model, and the low-rank change that makes it somebody else; no change is the model itself."""

    loaded: LoadedModel
    changes: Mapping[str, Terms] = field(default_factory=dict)


class VocabularyError(ValueError):
    """Two models do not mean the same tokens, so that their logits cannot be added."""


def guided_replies(
    variants: Sequence[Variant],
    prompts: Sequence[Sequence[Tokens]],
    guidance: Guidance,
    sampling: Sampling,
    names: Sequence[str],
) -> list[Reply]:
    """One reply for each name, from the writer, its expert and, where there are three variants, an anti-expert.

    `prompts[v][r]` is what variant v reads before reply r. Variants of one loaded model share each forward pass. The
    caller chooses a batch that fits; rows that have ended leave it. Raises VocabularyError, NoNumbersError.
    """
    import torch

    check_same_vocabulary([variant.loaded for variant in variants])
    ends = torch.tensor(sorted(end_tokens(variants[0].loaded)), device=variants[0].loaded.device)
    written: list[list[int]] = [[] for _ in names]
    alive = list(range(len(names)))
    finished = [False] * len(names)
    places_of: dict[int, list[int]] = {}  # of the variants of each loaded model
    for place, variant in enumerate(variants):
        places_of.setdefault(id(variant.loaded), []).append(place)
    with torch.inference_mode(), ExitStack() as stack:
        groups = [
            (stack.enter_context(VariantsInStep([variants[place] for place in places])), places)
            for places in places_of.values()
        ]
        logits = _gather(groups, [group.read([prompts[v] for v in places]) for group, places in groups])
        for place in range(sampling.max_new_tokens):
            tokens = _draw(combined_logits(guidance, *logits), sampling, [names[row] for row in alive], place)
            going = ~torch.isin(tokens, ends)
            for row, token, goes_on in zip(alive, tokens.tolist(), going.tolist(), strict=True):
                written[row] += [token] if goes_on else []
                finished[row] = not goes_on
            left = going.nonzero().flatten()
            if len(left) == 0 or place + 1 == sampling.max_new_tokens:
                break
            if len(left) < len(alive):
                alive = [alive[row] for row in left.tolist()]
                for group, _ in groups:
                    group.keep(left)
            logits = _gather(groups, [group.step(tokens[left]) for group, _ in groups])
    return [Reply(tuple(tokens), done) for tokens, done in zip(written, finished, strict=True)]


def _gather(groups: Sequence[tuple[VariantsInStep, list[int]]], logits: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The logits of each variant, in the order of the variants, on the writer's device: [rows, tokens] each."""
    found = {
        place: each[row] for (_, places), each in zip(groups, logits, strict=True) for row, place in enumerate(places)
    }
    width = min(each.shape[-1] for each in found.values())  # one may be padded beyond the vocabulary
    return [found[place][..., :width].to(found[0].device) for place in range(len(found))]


def combined_logits(
    guidance: Guidance, base: torch.Tensor, expert: torch.Tensor, anti: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits of the guided distribution, float32, of the shape of `base`: [rows, tokens].

    sum: base + gamma * expert (code of BIG5-CHAT). difference: base + gamma * (expert - anti), where the base stands
    in for a missing anti-expert (DExperts, Liu et al. 2021, arXiv:2105.03023, equation 1).
    """
    base, expert = base.float(), expert.float()
    if guidance.combine == "difference":
        expert = expert - (base if anti is None else anti.float())
    guided = base + guidance.gamma * expert
    if guidance.filter_p is None:
        return guided
    return guided.masked_fill(~nucleus(base, guidance.filter_p), float("-inf"))


def nucleus(logits: torch.Tensor, p: float) -> torch.Tensor:
    """Which tokens are in the smallest set with probability `p` (Holtzman et al. 2020), [rows, tokens]; never none."""
    import torch

    if p >= 1:  # sums of probabilities are rounded: the tail would lie behind 1
        return torch.ones_like(logits, dtype=torch.bool)
    values, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
    before = values.cumsum(-1) - values  # probability of what is likelier
    return torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before < p)


def _draw(logits: torch.Tensor, sampling: Sampling, names: Sequence[str], place: int) -> torch.Tensor:
    """The next token of each row, [rows]. Raises NoNumbersError."""
    import torch

    if bool(logits.isnan().any()):
        raise NoNumbersError
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scaled = logits / sampling.temperature
    if sampling.top_p is not None:
        scaled = scaled.masked_fill(~nucleus(scaled, sampling.top_p), float("-inf"))
    totals = scaled.double().softmax(-1).cumsum(-1)
    chance = torch.tensor([[_uniform(sampling.seed, name, place)] for name in names], device=logits.device)
    drawn = torch.searchsorted(totals, chance.double() * totals[:, -1:], right=True)
    return drawn.clamp(max=totals.shape[-1] - 1)[:, 0]


def _uniform(seed: int, name: str, place: int) -> float:
    """A number in [0, 1) for one token of one reply."""
    digest = blake2b(f"{seed}/{place}/{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def check_same_vocabulary(models: Sequence[LoadedModel]) -> None:
    """Raise VocabularyError unless all models mean the same tokens by the same numbers."""
    first, *others = {id(each): each for each in models}.values()
    known = first.tokenizer.get_vocab()
    for other in others:
        theirs = other.tokenizer.get_vocab()
        if theirs == known:
            continue
        different = min(token for token in known.keys() | theirs.keys() if known.get(token) != theirs.get(token))
        raise VocabularyError(
            f"{first.tokenizer.name_or_path} and {other.tokenizer.name_or_path} have no common vocabulary (they differ "
            f"in {different!r}): logits of different tokens cannot be added; take an expert of the same family"
        )


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
        self._adapters = ExitStack()

    def __enter__(self) -> Self:
        for number, variant in enumerate(self.variants):
            if variant.changes:
                self._adapters.callback(add_low_rank(self._loaded.model, variant.changes, self._rows_of(number)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._adapters.close()
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
        self._rows = len(prompts[0])
        pairs = [(prompt, ()) for each in prompts for prompt in each]
        given = padded(pairs, self._loaded.device, self._loaded.tokenizer.pad_token_id)
        self._mask, self._cache = given.mask, None
        with reading("prompt_end"):
            return self._forward(given.ids, given.positions)

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
