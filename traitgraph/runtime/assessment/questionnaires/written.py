"""Mode `generate` of a questionnaire: the model writes a number, one item a conversation, no history.

What names no single number of the scale is a failure, counted and never replaced by a middle value.
Source of the procedure: BIG5-CHAT (arXiv:2410.16491), whose parser kept the last character of a line.
"""

from __future__ import annotations

from typing import Any

from traitgraph.runtime.assessment.measurement import Measurement, Metric, disclaimers, mean
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.benchmarks import WRITTEN_NUMBER
from traitgraph.specs.study.training import Sampling

from .items import Item, Questionnaire
from .modes import domain_means, items_of, steps_of
from .rated_numbers import rated_number


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a usable answer (`n`); `parse_failures` is the share without."""
    questionnaire = items_of(context, benchmark)
    sampling = params.sampling or Sampling()
    prompt_message = prompt_message_of(context, params.prompt)
    prompts = [
        prompt_ids(loaded.tokenizer, _prompt(questionnaire, item), prompt_message) for item in questionnaire.items
    ]
    rows: list[dict[str, Any]] = []
    for repeat in range(sampling.repeats):
        texts = engine_of(sampling).write(
            loaded,
            prompts,
            temperature=sampling.temperature,
            max_new_tokens=min(sampling.max_new_tokens, WRITTEN_NUMBER),
            stream=f"{sampling.seed}/{repeat}",
        )
        rows += [
            _row(questionnaire, item, repeat, text) for item, (text, _) in zip(questionnaire.items, texts, strict=True)
        ]
        context.progress(repeat + 1, sampling.repeats, "repeats")
    answers = zip(questionnaire.items * sampling.repeats, rows, strict=True)
    by_trait = sorted(answers, key=lambda each: questionnaire.traits().index(each[0].trait))
    failures = [float(row["answer"] is None) for row in rows]
    metrics = [
        *domain_means(questionnaire, ((item, row["repeat"], row["answer"]) for item, row in by_trait)),
        disclaimers([row["text"] for row in rows]),
        Metric("parse_failures", mean(failures), len(failures), role="validity"),
    ]
    return Measurement(rows, metrics)


def _prompt(questionnaire: Questionnaire, item: Item) -> str:
    scale = questionnaire.response_scale
    steps = steps_of(questionnaire, ", ")
    return (
        f"How accurately does a statement describe you, on a scale from {scale.min} to {scale.max}? {steps}. "
        f"Write the number only.\nStatement: {item.second_person or questionnaire.statement(item)}"
    )


def _row(questionnaire: Questionnaire, item: Item, repeat: int, text: str) -> dict[str, Any]:
    return {
        "item": item.id,
        "repeat": repeat,
        "trait": item.trait,
        "keyed": item.keyed,
        "scale": questionnaire.response_scale.ends,
        "text": text,
        "answer": rated_number(text, questionnaire.response_scale.ends),
    }
