"""The job `neurons`: how often, and how strongly, each gate unit fires while a model answers under a trait's two poles.

A neuron is a gate unit a = act(x W_gate) of an MLP, before the product with x W_up (NPTI, arXiv:2410.12327). The model
answers questions under the prompt of each level; then the answers are read once more, and the tokens of the answers
count. So the statistics rest on nothing but the answers, which are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from traitgraph.runtime.chat import Lead, prompt_ids
from traitgraph.runtime.context import JobContext
from traitgraph.runtime.dialogues import load_trait_prompts
from traitgraph.runtime.durable import write_json
from traitgraph.runtime.kept_texts import KeptTexts, write_missing
from traitgraph.runtime.leads import lead_of
from traitgraph.runtime.models import LoadedModel, open_model
from traitgraph.runtime.subjects import leave_subject
from traitgraph.specs.jobs import NeuronsParams
from traitgraph.specs.traits import LEVELS

from .blocks import SteeringError, gated_mlps
from .firing import Firing, firing_in
from .neuron_shift import TENSORS
from .spans import in_batches, reply_span

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
