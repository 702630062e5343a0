"""How a questionnaire is asked: by the likelihood of its options (`choice`), or by a written number (`generate`).

By likelihood each item is asked twice, with the options in scale order and reversed, because small models prefer a
letter whatever it stands for; and once as a yes/no question, to see whether a model that agrees also agrees with the
opposite. Everything is forward passes: the instructions, which all items share, are computed once an order.

A written number is asked for one item a conversation, without a history. What names no single number of the scale is a
failure, counted and never replaced by a middle value. Source of the procedure: BIG5-CHAT (arXiv:2410.16491), whose
parser kept the last character of a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from traitgraph.runtime.assessment.measurement import Measurement, Metric, disclaimers
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import answer_ids, prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.likelihood import Request
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.benchmarks import MODES, WRITTEN_NUMBER
from traitgraph.specs.study.training import Sampling

from .items import Questionnaire, read_questionnaire
from .rated_numbers import rated_number
from .scores import ItemAnswers, domain_means, questionnaire_metrics, sampled_step

NO_SAMPLING = Sampling(temperature=1.0, repeats=1)


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """What the function of the questionnaire's mode finds."""
    measurement: Measurement = imported(MODES.get(benchmark.mode).function)(context, loaded, params, benchmark)
    return measurement


def items_of(context: JobContext, benchmark: ResolvedBenchmark) -> Questionnaire:
    """The questionnaire of a benchmark. Raises QuestionnaireError."""
    return read_questionnaire(verified(context.locations, benchmark.items))


def measure_choices(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain scores of each repeat and their expectation, with validity checks; see `scores.py`."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or NO_SAMPLING, prompt_message_of(context, params.prompt)
    forms, tokenizer = _forms(questionnaire.response_scale.anchors), loaded.tokenizer
    logprobs = []  # of each form, for each item, log p of each answer in scale order [nats]
    for number, (before, options) in enumerate(forms):
        context.progress(number, len(forms), "forms of the questionnaire")
        prompts = [before + questionnaire.statement(item) for item in questionnaire.items]
        replies = [answer_ids(tokenizer, prompts[0], option, prompt_message) for option in options]
        contexts = [prompt_ids(tokenizer, prompt, prompt_message) for prompt in prompts]
        requests = [Request(ids, reply) for ids in contexts for reply in replies]
        scores = iter(engine_of(sampling).likelihoods(loaded, requests))
        logprobs.append([tuple(next(scores).total for _ in options) for _ in prompts])
    context.progress(len(forms), len(forms), "forms of the questionnaire")
    answers = [
        ItemAnswers(item, (forward, backward), yes_no)
        for item, forward, backward, yes_no in zip(questionnaire.items, *logprobs, strict=True)
    ]
    rows = [_row(questionnaire, answer, sampling) for answer in answers]
    return Measurement(rows, questionnaire_metrics(questionnaire, answers, sampling))


def _forms(anchors: Sequence[str]) -> tuple[tuple[str, Sequence[str]], ...]:
    """Each way of asking every item: the prompt before the statement, and the answers in scale order."""
    letters = ascii_uppercase[: len(anchors)]

    def choice(listed: Sequence[str]) -> str:
        options = "\n".join(f"{letter}. {anchor}" for letter, anchor in zip(letters, listed, strict=True))
        # The statement stands last, so that all items share everything before it.
        return f"How accurately does a statement describe you? Answer with one letter.\n{options}\nStatement: "

    return (
        (choice(anchors), letters),
        # Listed from the top: the first letter now stands for the last step, so answers in scale order are reversed.
        (choice(anchors[::-1]), letters[::-1]),
        ("Does this statement describe you? Answer with Yes or No.\nStatement: ", ("Yes", "No")),
    )


def _row(questionnaire: Questionnaire, answer: ItemAnswers, sampling: Sampling) -> dict[str, object]:
    """Everything that was heard and drawn for one item."""
    scale, item = questionnaire.response_scale, answer.item
    return {
        "item": item.id,
        "statement": questionnaire.statement(item),
        "trait": item.trait,
        "keyed": item.keyed,
        "scale": scale.ends,
        "logprobs_forward": list(answer.orders[0]),
        "logprobs_backward": list(answer.orders[1]),
        "logprobs_yes_no": list(answer.yes_no),
        "answers": [scale.min + sampled_step(answer, sampling, repeat) for repeat in range(sampling.repeats)],
    }


def measure_numbers(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a usable answer (`n`); `parse_failures` is the share without."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or Sampling(), prompt_message_of(context, params.prompt)
    scale, items, traits = questionnaire.response_scale, questionnaire.items, questionnaire.traits()
    question = (
        f"How accurately does a statement describe you, on a scale from {scale.min} to {scale.max}? "
        f"{scale.steps(', ')}. Write the number only.\nStatement: "
    )
    asked = [question + (item.second_person or questionnaire.statement(item)) for item in items]
    prompts = [prompt_ids(loaded.tokenizer, each, prompt_message) for each in asked]
    rows: list[dict[str, Any]] = []
    answers = []
    for repeat in range(sampling.repeats):
        texts = engine_of(sampling).write(
            loaded,
            prompts,
            temperature=sampling.temperature,
            max_new_tokens=min(sampling.max_new_tokens, WRITTEN_NUMBER),
            stream=f"{sampling.seed}/{repeat}",
        )
        for item, (text, _) in zip(items, texts, strict=True):
            answer = rated_number(text, scale.ends)
            place = {"item": item.id, "repeat": repeat, "trait": item.trait, "keyed": item.keyed, "scale": scale.ends}
            rows.append({**place, "text": text, "answer": answer})
            answers.append((item, repeat, answer))
        context.progress(repeat + 1, sampling.repeats, "repeats")
    metrics = [
        *domain_means(questionnaire, sorted(answers, key=lambda each: traits.index(each[0].trait))),
        disclaimers(row["text"] for row in rows),
        Metric.share("parse_failures", (row["answer"] is None for row in rows)),
    ]
    return Measurement(rows, metrics)
