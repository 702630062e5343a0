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
from traitgraph.runtime.models.chat import PromptMessage, answer_ids, prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.likelihood import Request
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.benchmarks import MODES, WRITTEN_NUMBER
from traitgraph.specs.study.training import Sampling

from .items import Item, Questionnaire, questionnaire_for
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
    return questionnaire_for(verified(context.locations, benchmark.items), benchmark.mode)


def measure_choices(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain scores of each repeat and their expectation, with validity checks; see `scores.py`."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or NO_SAMPLING, prompt_message_of(context, params.prompt)
    orders, on_scale = (
        ("forward", questionnaire.second_order),
        [item for item in questionnaire.items if not item.options],
    )
    ways = [[_choice(questionnaire, item, order) for item in questionnaire.items] for order in orders]
    ways += [[(YES_NO + questionnaire.statement(item), ("Yes", "No")) for item in on_scale]] if on_scale else []
    logprobs = []  # of each way of asking, for each item, log p of each answer in the order of the file [nats]
    for number, way in enumerate(ways):
        context.progress(number, len(ways), "forms of the questionnaire")
        logprobs.append(_answer_logprobs(loaded, way, prompt_message, sampling))
    context.progress(len(ways), len(ways), "forms of the questionnaire")
    yes_no = dict(zip((item.id for item in on_scale), logprobs[-1], strict=True)) if on_scale else {}
    answers = [
        ItemAnswers(item, (forward, other), yes_no.get(item.id, ()))
        for item, forward, other in zip(questionnaire.items, *logprobs[:2], strict=True)
    ]
    rows = [_row(questionnaire, answer, orders, sampling) for answer in answers]
    return Measurement(rows, questionnaire_metrics(questionnaire, answers, sampling))


YES_NO = "Does this statement describe you? Answer with Yes or No.\nStatement: "


def _answer_logprobs(
    loaded: LoadedModel,
    asked: Sequence[tuple[str, Sequence[str]]],
    prompt_message: PromptMessage | None,
    sampling: Sampling,
) -> list[tuple[float, ...]]:
    """log p of every answer to each prompt, given both. [nats]"""
    tokenizer, (first, _) = loaded.tokenizer, asked[0]
    replies = {
        answer: answer_ids(tokenizer, first, answer, prompt_message)
        for answer in dict.fromkeys(answer for _, answers in asked for answer in answers)
    }
    contexts = [(prompt_ids(tokenizer, prompt, prompt_message), answers) for prompt, answers in asked]
    requests = [Request(ids, replies[answer]) for ids, answers in contexts for answer in answers]
    scores = iter(engine_of(sampling).likelihoods(loaded, requests))
    return [tuple(next(scores).total for _ in answers) for _, answers in asked]


def _choice(questionnaire: Questionnaire, item: Item, order: str) -> tuple[str, Sequence[str]]:
    """The prompt of an item, and the letter of each answer in the order of the file."""
    answers = questionnaire.answers(item)
    places = listed(order, len(answers))
    options = "\n".join(f"{letter}. {answers[place]}" for letter, place in zip(ascii_uppercase, places, strict=False))
    letters = tuple(ascii_uppercase[places.index(number)] for number in range(len(answers)))
    if item.options:
        return f"{item.text}\n{options}\nWhich answer fits you best? Answer with one letter.", letters
    # The statement stands last, so that all items share everything before it.
    told = f"How accurately does a statement describe you? Answer with one letter.\n{options}\nStatement: "
    return told + questionnaire.statement(item), letters


def listed(order: str, count: int) -> list[int]:
    """Which of so many answers stands at each place of the list.

    >>> listed("forward", 4), listed("backward", 4), listed("swapped", 5)
    ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2, 4])
    """
    if order == "swapped":
        return [place ^ 1 if place ^ 1 < count else place for place in range(count)]
    return list(range(count))[:: -1 if order == "backward" else 1]


def about_item(questionnaire: Questionnaire, item: Item, answer: float | None = None) -> dict[str, Any]:
    """What a row of raw answers says of its item and answer, so that scores can be computed from rows alone."""
    about: dict[str, Any] = {"trait": item.trait, "keyed": item.keyed or 0, "scale": questionnaire.ends}
    if item.weight != 1:
        about["weight"] = item.weight
    if not questionnaire.is_plain(item) and answer is not None:
        about["counted"] = questionnaire.counts(item, answer)
    return about


def _row(
    questionnaire: Questionnaire, answer: ItemAnswers, orders: Sequence[str], sampling: Sampling
) -> dict[str, object]:
    """Everything that was heard and drawn for one item."""
    item = answer.item
    row = {"item": item.id, "statement": questionnaire.statement(item), **about_item(questionnaire, item)}
    if not questionnaire.is_plain(item):
        row |= {"options": questionnaire.answers(item), "points": questionnaire.points(item)}
    row |= {f"logprobs_{order}": list(logprobs) for order, logprobs in zip(orders, answer.orders, strict=True)}
    if answer.yes_no:
        row["logprobs_yes_no"] = list(answer.yes_no)
    first = 1 if item.options else questionnaire.scale_of(item).min
    return {**row, "answers": [first + sampled_step(answer, sampling, repeat) for repeat in range(sampling.repeats)]}


def measure_numbers(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a usable answer (`n`); `parse_failures` is the share without."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or Sampling(), prompt_message_of(context, params.prompt)
    asked = [(item, *_number_wanted(questionnaire, item)) for item in questionnaire.items]
    prompts = [prompt_ids(loaded.tokenizer, prompt, prompt_message) for _, prompt, _ in asked]
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
        for (item, _, ends), (text, _) in zip(asked, texts, strict=True):
            answer = rated_number(text, ends)
            row = {"item": item.id, "repeat": repeat, **about_item(questionnaire, item, answer)}
            rows.append({**row, "text": text, "answer": answer})
            answers.append((item, repeat, answer))
        context.progress(repeat + 1, sampling.repeats, "repeats")
    metrics = [
        *domain_means(questionnaire, answers),
        disclaimers(row["text"] for row in rows),
        Metric.share("parse_failures", (row["answer"] is None for row in rows)),
    ]
    return Measurement(rows, metrics)


def _number_wanted(questionnaire: Questionnaire, item: Item) -> tuple[str, tuple[int, int]]:
    """The prompt that asks for a number, and the least and the largest that is an answer."""
    if item.options:
        options = "\n".join(f"{number}. {option.text}" for number, option in enumerate(item.options, 1))
        return f"{item.text}\n{options}\nWhich answer fits you best? Write its number only.", (1, len(item.options))
    scale = questionnaire.scale_of(item)
    question = (
        f"How accurately does a statement describe you, on a scale from {scale.min} to {scale.max}? "
        f"{scale.steps(', ')}. Write the number only.\nStatement: "
    )
    return question + (item.second_person or questionnaire.statement(item)), scale.ends
