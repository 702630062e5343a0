"""The job `neurons`: how often, and how strongly, gate units fire while a model answers under both levels' prompts.

A neuron is a gate unit a = act(x W_gate) of an MLP, before the product with x W_up (NPTI, arXiv:2410.12327). The model
answers questions under the prompt of each level; then the answers are read once more, and the tokens of the answers
count. So the statistics rest on nothing but the answers, which are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.data.dialogues import load_trait_prompts
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.blocks import seen_by
from traitgraph.runtime.models.chat import Lead, prompt_ids
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.prompt_messages import lead_of
from traitgraph.runtime.models.resumable_generation import KeptTexts, write_missing
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.subjects.neuron_shift import TENSORS, gated_mlps
from traitgraph.runtime.subjects.shift import SteeringError
from traitgraph.runtime.subjects.subjects import leave_subject
from traitgraph.specs.jobs.params import NeuronsParams
from traitgraph.specs.study.traits import LEVELS

from .spans import Span, counted, in_batches, read_batch, reply_span

if TYPE_CHECKING:
    import torch


RECORD, REPLIES = "neurons.json", "replies.jsonl"

Answer = dict[str, Any]
Leads = Mapping[str, Lead | None]


def neurons(context: JobContext, params: NeuronsParams) -> None:
    """Measure the gate units under the prompts of both levels.

    writes  neurons.safetensors   probability.LEVEL, quantile.LEVEL: float32 [blocks, units]
            replies.jsonl         every answer, by level and question
            neurons.json          numbers of questions, of empty answers, and of tokens that count; what the model saw
    raises  SteeringError for a model without gated MLPs and for a level with empty answers alone, DialogueError without
            questions, Stopped between two batches
    """
    loaded = open_model(context, params.model)
    leave_subject(context, loaded)
    gated_mlps(loaded.model)  # before anything is written
    questions = load_trait_prompts(context, params.data, params.trait)[: params.limit]
    leads: dict[str, Lead | None] = {"high": lead_of(context, params.high), "low": lead_of(context, params.low)}
    answers = _answers(context, params, loaded, questions, leads)
    firing: dict[str, Firing] = {level: _firing(context, loaded, answers, level, leads[level]) for level in LEVELS}
    _publish(context, params, firing, answers, loaded.tokenizer.decode(_prompt(loaded, answers[0], leads)))


def _prompt(loaded: LoadedModel, answer: Answer, leads: Leads) -> tuple[int, ...]:
    return prompt_ids(loaded.tokenizer, answer["question"], leads[answer["level"]])


def _answers(
    context: JobContext, params: NeuronsParams, loaded: LoadedModel, questions: Sequence[str], leads: Leads
) -> list[Answer]:
    """The likeliest answer to each question at each level."""
    asked = [{"level": level, "question": question} for level in LEVELS for question in questions]
    kept = KeptTexts(context.partial, "replies")
    write_missing(
        context,
        loaded,
        {str(number): _prompt(loaded, each, leads) for number, each in enumerate(asked)},
        kept,
        "answers",
        temperature=0,
        max_new_tokens=params.max_new_tokens,
        repetition_penalty=params.repetition_penalty,
        stream="neurons",
    )
    return [{**each, "reply": kept.texts[str(number)]} for number, each in enumerate(asked)]


def _firing(
    context: JobContext, loaded: LoadedModel, answers: Sequence[Answer], level: str, lead: Lead | None
) -> Firing:
    """Statistics over the tokens of a level's answers."""
    there = [each for each in answers if each["level"] == level and each["reply"]]
    if not there:
        raise SteeringError(f"every answer under the prompt of level {level} is empty: another prompt, other questions")
    spans = [reply_span(loaded.tokenizer, each["question"], each["reply"], lead) for each in there]
    batches = in_batches(loaded, spans)
    return firing_in(loaded, batches, lambda done: context.progress(done, len(batches), f"batches read, {level}"))


def _publish(
    context: JobContext, params: NeuronsParams, firing: Mapping[str, Firing], answers: Sequence[Answer], seen: str
) -> None:
    from safetensors.torch import save_file

    tensors = {f"probability.{level}": each.probability() for level, each in firing.items()}
    tensors |= {f"quantile.{level}": each.quantile(params.quantile) for level, each in firing.items()}
    save_file(tensors, context.out / TENSORS)
    lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in answers)
    (context.out / REPLIES).write_text("".join(lines), encoding="utf-8")
    record = {
        "trait": params.trait,
        "questions": len(answers) // len(LEVELS),
        "empty": {level: sum(a["level"] == level and not a["reply"] for a in answers) for level in LEVELS},
        "tokens": {level: each.tokens for level, each in firing.items()},
        "model_sees": seen,
    }
    write_json(context.out / RECORD, record)


STEP, BINS = 0.01, 300
"""Activations are sorted into steps of 0.01 up to 3, all larger ones into the last (as in the published code)."""


class Firing:
    """Counts for [blocks, units] gate units over some tokens."""

    def __init__(self, blocks: int, units: int, device: torch.device) -> None:
        import torch

        self.tokens = 0
        self._histograms = torch.zeros(blocks, units, BINS, dtype=torch.int32, device=device)

    def count(self, block: int, values: torch.Tensor) -> None:
        """Add the activations of one block's units, [tokens, units]."""
        bins = (values.float() / STEP).long().clamp(0, BINS - 1).T  # [units, tokens]
        self._histograms[block].scatter_add_(1, bins, (values.T > 0).int())

    def probability(self) -> torch.Tensor:
        """Share of the tokens at which each unit is above zero: float32 [blocks, units], on the CPU."""
        return self._histograms.sum(-1).cpu().float() / self.tokens

    def quantile(self, share: float) -> torch.Tensor:
        """The bound below which that share of a unit's activations above zero lies, to a step; 0 without any."""
        import torch

        found = []
        for histogram in self._histograms:
            below = histogram.cumsum(-1)
            total = below[:, -1:]
            steps = (below < share * total).sum(-1) + 1
            found.append(torch.where(total[:, 0] > 0, steps * STEP, 0.0).float().cpu())
        return torch.stack(found)


def firing_in(loaded: LoadedModel, batches: Sequence[Sequence[Span]], on_batch: Callable[[int], object]) -> Firing:
    """Read batches of spans and count the gate units of the model at the positions that count."""
    mlps = gated_mlps(loaded.model)
    firing = Firing(len(mlps), len(mlps[0].get_parameter("gate_proj.weight")), loaded.device)
    gates = [mlp.get_submodule("act_fn") for mlp in mlps]
    for number, batch in enumerate(batches):
        on_batch(number)
        _count(loaded, gates, batch, firing)
    on_batch(len(batches))
    return firing


def _count(loaded: LoadedModel, gates: Sequence[torch.nn.Module], batch: Sequence[Span], firing: Firing) -> None:
    mask, block = counted(batch, loaded.device), count()
    with seen_by(gates, lambda values: firing.count(next(block), values[mask]), loaded.device):
        read_batch(loaded, batch)
    firing.tokens += int(mask.sum())
