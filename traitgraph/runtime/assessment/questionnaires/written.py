"""Administer a questionnaire by letting the model write a number, one item a conversation, no history.

What names no single number of the scale is a failure, counted and never replaced by a middle value.
Source of the procedure: BIG5-CHAT (arXiv:2410.16491), whose parser kept the last character of a line.
"""

from __future__ import annotations

from traitgraph.runtime.assessment.measurement import Measurement, Metric, disclaimers, mean
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.generation import written_texts
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.models.prompt_messages import lead_of
from traitgraph.specs.jobs.benchmarks import ResolvedQuestionnaire
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.benchmarks import WRITTEN_NUMBER
from traitgraph.specs.study.training import Sampling

from .file import read_questionnaire
from .items import Item, Questionnaire
from .rated_numbers import rated_number
from .scores import keyed_value


def measure_written_questionnaire(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedQuestionnaire
) -> Measurement:
    """Domain means of each repeat over the items with a usable answer (`n`); `parse_failures` is the share without."""
    questionnaire = read_questionnaire(verified(context.locations, benchmark.items))
    sampling = params.sampling or Sampling()
    lead = lead_of(context, params.prompt)
    prompts = [prompt_ids(loaded.tokenizer, _prompt(questionnaire, item), lead) for item in questionnaire.items]
    rows: list[dict[str, object]] = []
    for repeat in range(sampling.repeats):
        texts = written_texts(
            loaded,
            prompts,
            temperature=sampling.temperature,
            max_new_tokens=min(sampling.max_new_tokens, WRITTEN_NUMBER),
            stream=f"{sampling.seed}/{repeat}",
        )
        rows += [_row(questionnaire, item, repeat, text) for item, text in zip(questionnaire.items, texts, strict=True)]
        context.progress(repeat + 1, sampling.repeats, "repeats")
    return Measurement(rows, _metrics(questionnaire, rows, sampling))


def _prompt(questionnaire: Questionnaire, item: Item) -> str:
    scale = questionnaire.response_scale
    steps = ", ".join(f"{number} = {anchor}" for number, anchor in enumerate(scale.anchors, start=scale.min))
    return (
        f"How accurately does a statement describe you, on a scale from {scale.min} to {scale.max}? {steps}. "
        f"Write the number only.\nStatement: {item.second_person or questionnaire.statement(item)}"
    )


def _row(questionnaire: Questionnaire, item: Item, repeat: int, text: str) -> dict[str, object]:
    return {
        "item": item.id,
        "repeat": repeat,
        "trait": item.trait,
        "keyed": item.keyed,
        "scale": questionnaire.response_scale.ends,
        "text": text,
        "answer": rated_number(text, questionnaire.response_scale.ends),
    }


def _metrics(questionnaire: Questionnaire, rows: list[dict[str, object]], sampling: Sampling) -> list[Metric]:
    items = {item.id: item for item in questionnaire.items}
    metrics = []
    for trait in questionnaire.traits():
        for repeat in range(sampling.repeats):
            values = [
                keyed_value(questionnaire, items[number], answer)
                for row in rows
                if row["trait"] == trait and row["repeat"] == repeat
                if isinstance(number := row["item"], int) and isinstance(answer := row["answer"], int)
            ]
            metrics.append(Metric(trait, mean(values), len(values), repeat=repeat))
    failures = [1.0 if row["answer"] is None else 0.0 for row in rows]
    share = Metric("parse_failures", mean(failures), len(failures), role="validity")
    return [*metrics, disclaimers([str(row["text"]) for row in rows]), share]
