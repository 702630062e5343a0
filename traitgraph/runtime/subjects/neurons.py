"""Neurons of a trait: the job `neurons` finds which fire, and the subject of `npti` has them turned up and off.

A neuron is a gate unit a = act(x W_gate) of an MLP, before the product with x W_up (NPTI, arXiv:2410.12327). The model
answers questions under the prompt of each level; then the answers are read once more, and the tokens of the answers
count: how often, and how strongly, each unit fires. So the statistics rest on nothing but the answers, which are kept.

The subject: neurons of a trait's pole turned up, those of the other pole turned off.

a_j <- min(a_j, 0)                          for neurons of the other pole
a_j <- a_j + gamma * q_j * f(delta_j)       for neurons of the pole, f(d) = 1 / (1 + exp(-steepness * (d - midpoint)))

delta_j is the difference of a neuron's firing probability between the poles, q_j the quantile of its activation under
the pole. Both act wherever a token of the reply is predicted; the published code lets the first token be, so that an
answer of one token would never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.data.conversations import Said
from traitgraph.runtime.data.dialogues import load_trait_prompts
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import PromptMessage, prompt_ids, prompt_message_of
from traitgraph.runtime.models.forward_pass import Passes, decoder_blocks, seen_by
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.resumable_generation import KeptTexts, write_missing
from traitgraph.runtime.store.durable import write_json, write_json_lines
from traitgraph.runtime.vectors.hooks import Removable
from traitgraph.specs.jobs.params import NeuronsParams, NeuronSteering
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

from .spans import Span, SteeringError, counted, in_batches, read_batch, reply_span
from .workbench import leave_subject

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


TENSORS, RECORD, REPLIES = "neurons.safetensors", "neurons.json", "replies.jsonl"

GATED = ("gate_proj", "up_proj", "down_proj", "act_fn")
"""Parts of down(act(gate(x)) * up(x)), under the names that Llama, Mistral, Qwen and Gemma have in common."""

Answer = dict[str, Any]
Prompts = Mapping[str, PromptMessage | None]


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
    ends = Vocabulary.of_levels(params.data.levels).ends
    asked = zip(ends, (params.high, params.low), strict=True)
    prompts: Prompts = {level: prompt_message_of(context, prompt) for level, prompt in asked}
    answers = _answers(context, params, loaded, questions, prompts)
    firing = {level: _firing(context, loaded, answers, level, prompts[level]) for level in ends}
    _publish(context, params, firing, answers, loaded.tokenizer.decode(_prompt(loaded, answers[0], prompts)))


def _prompt(loaded: LoadedModel, answer: Answer, prompts: Prompts) -> tuple[int, ...]:
    return prompt_ids(loaded.tokenizer, answer["question"], prompts[answer["level"]])


def _answers(
    context: JobContext, params: NeuronsParams, loaded: LoadedModel, questions: Sequence[Said], prompts: Prompts
) -> list[Answer]:
    """The likeliest answer to each question at each level."""
    asked = [{"level": level, "question": question} for level in prompts for question in questions]
    kept = KeptTexts(context.partial, "replies")
    write_missing(
        context,
        loaded,
        {str(number): _prompt(loaded, each, prompts) for number, each in enumerate(asked)},
        kept,
        "answers",
        temperature=0,
        max_new_tokens=params.max_new_tokens,
        repetition_penalty=params.repetition_penalty,
        stream="neurons",
    )
    return [{**each, "reply": kept.texts[str(number)]} for number, each in enumerate(asked)]


def _firing(
    context: JobContext, loaded: LoadedModel, answers: Sequence[Answer], level: str, prompt: PromptMessage | None
) -> Firing:
    """Statistics over the tokens of a level's answers."""
    there = [each for each in answers if each["level"] == level and each["reply"]]
    if not there:
        raise SteeringError(f"every answer under the prompt of level {level} is empty: another prompt, other questions")
    batches = in_batches(
        loaded, [reply_span(loaded.tokenizer, each["question"], each["reply"], prompt) for each in there]
    )
    mlps = gated_mlps(loaded.model)
    gates = [mlp.get_submodule("act_fn") for mlp in mlps]
    firing = Firing(len(mlps), len(mlps[0].get_parameter("gate_proj.weight")), loaded.device)
    for number, batch in enumerate(batches):
        context.progress(number, len(batches), f"batches read, {level}")
        firing.read(loaded, gates, batch)
    context.progress(len(batches), len(batches), f"batches read, {level}")
    return firing


def _publish(
    context: JobContext, params: NeuronsParams, firing: Mapping[str, Firing], answers: Sequence[Answer], seen: str
) -> None:
    from safetensors.torch import save_file

    tensors = {f"probability.{level}": each.probability() for level, each in firing.items()}
    tensors |= {f"quantile.{level}": each.quantile(params.quantile) for level, each in firing.items()}
    save_file(tensors, context.out / TENSORS)
    write_json_lines(context.out / REPLIES, [{**each, "question": str(each["question"])} for each in answers])
    record = {
        "trait": params.trait,
        "questions": len(answers) // len(firing),
        "empty": {level: sum(a["level"] == level and not a["reply"] for a in answers) for level in firing},
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

    def read(self, loaded: LoadedModel, gates: Sequence[torch.nn.Module], batch: Sequence[Span]) -> None:
        """Let the model read a batch, and count at the positions that count."""
        mask, block = counted(batch, loaded.device), count()
        with seen_by(gates, lambda values: self.count(next(block), values[mask]), loaded.device):
            read_batch(loaded, batch)
        self.tokens += int(mask.sum())

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


def gated_mlps(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The gated MLP of each decoder block; the output of its `act_fn` are its neurons.

    Raises SteeringError for other architectures: MLPs without a gate, fused projections, mixtures of experts.
    """
    import torch

    mlps = []
    for block in decoder_blocks(model):
        parts = [
            each for each in block.children() if all(isinstance(getattr(each, n, None), torch.nn.Module) for n in GATED)
        ]
        if len(parts) != 1:
            raise SteeringError(
                f"{type(model).__name__} has no neurons as NPTI needs them: one MLP in each block with "
                f"{', '.join(GATED)}, as in Llama, Qwen and Gemma"
            )
        mlps += parts
    return mlps


def shift_neurons(model: PreTrainedModel, folder: Path, steering: NeuronSteering) -> Removable:
    """Turn the neurons of a `neurons` artifact up and off, as a steering says; call the result to undo it.

    Raises SteeringError for a model without gated MLPs.
    """
    from safetensors.torch import load_file

    mlps = gated_mlps(model)
    boosts, off = neuron_sets(load_file(folder / TENSORS), steering)
    passes, undo = Passes(model), ExitStack()
    undo.callback(passes.remove)
    for mlp, boost, silent in zip(mlps, float(steering.gamma) * boosts, off, strict=True):
        device = mlp.get_parameter("gate_proj.weight").device
        hook = _hook(passes, boost.to(device), silent.to(device))
        undo.enter_context(mlp.get_submodule("act_fn").register_forward_hook(hook))
    return undo.close


def neuron_sets(measured: dict[str, torch.Tensor], steering: NeuronSteering) -> tuple[torch.Tensor, torch.Tensor]:
    """For each unit what gamma multiplies, float32, and whether it is turned off; both [blocks, units].

    Of the pole's set a share is drawn by the seed, once for the subject.
    """
    import torch

    pole, other = steering.level, steering.opposite or BIG_FIVE.opposite(steering.level)
    delta = measured[f"probability.{pole}"] - measured[f"probability.{other}"]
    up, down = (_chosen(each.flatten(), steering) for each in (delta, -delta))
    generator = torch.Generator().manual_seed(steering.seed)
    up = up[torch.randperm(len(up), generator=generator)[: round(steering.share * len(up))]]
    weights = torch.sigmoid(steering.steepness * (delta - steering.midpoint)) * measured[f"quantile.{pole}"]
    boost, off = torch.zeros(delta.numel()), torch.zeros(delta.numel(), dtype=torch.bool)
    boost[up] = weights.flatten()[up]
    off[down] = True
    return boost.view_as(delta), off.view_as(delta)


def _chosen(delta: torch.Tensor, steering: NeuronSteering) -> torch.Tensor:
    """The units with the largest differences: at least `neurons`, all from `difference` on, none without one."""
    order = delta.argsort(descending=True, stable=True)
    enough = max(steering.neurons, int((delta >= steering.difference).sum()))
    return order[: min(enough, int((delta > 0).sum()))]


def _hook(passes: Passes, boost: torch.Tensor, off: torch.Tensor) -> Any:
    def hook(module: Any, given: Any, gates: torch.Tensor) -> torch.Tensor:
        at = passes.columns("response", gates.shape[1])
        part = gates[:, at].float()  # [rows, tokens, units]
        part = part.clamp(max=0).where(off, part) + boost
        changed = gates.clone()
        changed[:, at] = part.to(gates.dtype)
        return changed

    return hook
