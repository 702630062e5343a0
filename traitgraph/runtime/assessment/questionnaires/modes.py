"""How a questionnaire is asked: by the likelihood of its options (`choice`), or by a written number (`generate`).

By likelihood each item is asked twice, with the options in scale order and reversed, because small models prefer a
letter whatever it stands for; and once as a yes/no question, to see whether a model that agrees also agrees with the
opposite. Everything is forward passes: the instructions, which all items share, are computed once an order.

A written number is asked for one item a conversation, without a history. What names no single number of the scale is a
failure, counted and never replaced by a middle value. Source of the procedure: BIG5-CHAT (arXiv:2410.16491), whose
parser kept the last character of a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from traitgraph.runtime.assessment.measurement import Measurement, Metric, disclaimers
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import PromptMessage, answer_ids, prompt_ids, prompt_message_of, turn
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.likelihood import Request
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.registry import imported
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.benchmarks import MODES, WRITTEN_NUMBER
from traitgraph.specs.study.forms import FILE, Forms, form_name
from traitgraph.specs.study.training import Sampling

from .asking import YES_NO, Asked, choice, number_wanted
from .form_scores import choice_form_metrics, number_form_metrics
from .item_file import questionnaire_for, translation_of
from .items import Item, Questionnaire, Words
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
    words = Words.of(benchmark, context.traits)
    return questionnaire_for(verified(context.locations, benchmark.items), benchmark.mode, words, benchmark.forms)


class Form(NamedTuple):
    """One way to put all items."""

    setting: Mapping[str, str]
    """Axis of `forms` -> value; empty where a study names no forms."""
    questionnaire: Questionnaire
    """The items as they are worded in it."""
    orders: tuple[str, ...]
    """How options are listed: once each, and averaged."""

    @property
    def name(self) -> dict[str, str]:
        """What rows say of it: nothing where a study names no forms."""
        return {"form": form_name(self.setting)} if self.setting else {}


def forms_of(context: JobContext, benchmark: ResolvedBenchmark, questionnaire: Questionnaire) -> list[Form]:
    """Every form that a questionnaire is asked in. Raises QuestionnaireError."""
    forms: Forms | None = benchmark.forms
    if forms is None:
        return [Form({}, questionnaire, ("forward", questionnaire.second_order))]
    words = Words.of(benchmark, context.traits)
    languages = {
        name: translation_of(questionnaire, verified(context.locations, digest), words)
        for name, digest in (forms.language or {}).items()
    }
    return [
        Form(
            setting,
            languages.get(setting.get("language", FILE), questionnaire),
            (setting["option_order"],) if "option_order" in setting else ("forward", questionnaire.second_order),
        )
        for setting in forms.settings()
    ]


def measure_choices(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain scores of each repeat and their expectation, with validity checks; see `scores.py`, `form_scores.py`."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or NO_SAMPLING, prompt_message_of(context, params.prompt)
    forms = forms_of(context, benchmark, questionnaire)
    heard = [list[tuple[float, ...]]() for _ in questionnaire.items]
    orders = [order for form in forms for order in form.orders]
    for form in forms:
        for order in form.orders:
            context.progress(len(heard[0]), len(orders) + 1, "forms of the questionnaire")
            asked = [
                choice(form.questionnaire, item, order, form.setting, benchmark.forms)
                for item in form.questionnaire.items
            ]
            for each, logprobs in zip(heard, _answer_logprobs(loaded, asked, prompt_message, sampling), strict=True):
                each.append(logprobs)
    on_scale = [item for item in questionnaire.items if not item.options]
    doubted = [Asked(YES_NO + questionnaire.statement(item), ("Yes", "No")) for item in on_scale]
    yes_no = dict(
        zip((item.id for item in on_scale), _answer_logprobs(loaded, doubted, prompt_message, sampling), strict=True)
    )
    context.progress(len(orders) + 1, len(orders) + 1, "forms of the questionnaire")
    answers = [
        ItemAnswers(item, tuple(each), yes_no.get(item.id, ()))
        for item, each in zip(questionnaire.items, heard, strict=True)
    ]
    metrics = questionnaire_metrics(questionnaire, answers, sampling, orders)
    if benchmark.forms:
        metrics += choice_form_metrics(questionnaire, answers, forms_by_orders(forms), sampling.temperature)
    return Measurement([*_rows(questionnaire, answers, forms, sampling)], metrics)


def forms_by_orders(forms: Sequence[Form]) -> list[tuple[Mapping[str, str], slice]]:
    """The setting of each form, and which of all that was heard of an item was heard in it."""
    found, start = [], 0
    for form in forms:
        found.append((form.setting, slice(start, start + len(form.orders))))
        start += len(form.orders)
    return found


def _answer_logprobs(
    loaded: LoadedModel, asked: Sequence[Asked], prompt_message: PromptMessage | None, sampling: Sampling
) -> list[tuple[float, ...]]:
    """log p of every answer to each prompt, given both. [nats]"""
    if not asked:
        return []
    tokenizer, first = loaded.tokenizer, asked[0].prompt
    named = dict.fromkeys(answer for each in asked for answer in each.answers)
    # 'I' begins 'II': where an answer is the start of another, each is heard to its end.
    ended = any(other.startswith(answer) for answer in named for other in named if other != answer)
    replies = {
        answer: turn(tokenizer, first, answer, prompt_message).reply
        if ended
        else answer_ids(tokenizer, first, answer, prompt_message)
        for answer in named
    }
    contexts = [prompt_ids(tokenizer, each.prompt, prompt_message) for each in asked]
    requests = [
        Request(ids, replies[answer]) for ids, each in zip(contexts, asked, strict=True) for answer in each.answers
    ]
    scores = iter(engine_of(sampling).likelihoods(loaded, requests))
    return [tuple(next(scores).total for _ in each.answers) for each in asked]


def about_item(questionnaire: Questionnaire, item: Item, answer: float | None = None) -> dict[str, Any]:
    """What a row of raw answers says of its item and answer, so that scores can be computed from rows alone."""
    about: dict[str, Any] = {"trait": item.trait, "keyed": item.keyed or 0, "scale": questionnaire.ends}
    if item.weight != 1:
        about["weight"] = item.weight
    if not questionnaire.is_plain(item) and answer is not None:
        about["counted"] = questionnaire.counts(item, answer)
    return about


def _rows(
    questionnaire: Questionnaire, answers: Sequence[ItemAnswers], forms: Sequence[Form], sampling: Sampling
) -> Iterator[dict[str, object]]:
    """Everything that was heard and drawn for each item, form by form; what is said once stands in the first."""
    for number, (form, (_, heard)) in enumerate(zip(forms, forms_by_orders(forms), strict=True)):
        for answer, worded in zip(answers, form.questionnaire.items, strict=True):
            item = answer.item
            row = {"item": item.id, **form.name, "statement": form.questionnaire.statement(worded)}
            row |= about_item(questionnaire, item)
            if not questionnaire.is_plain(item):
                row |= {"options": form.questionnaire.answers(worded), "points": questionnaire.points(item)}
            orders = zip(form.orders, answer.orders[heard], strict=True)
            row |= {f"logprobs_{order}": list(logprobs) for order, logprobs in orders}
            if number == 0:
                if answer.yes_no:
                    row["logprobs_yes_no"] = list(answer.yes_no)
                least = 1 if item.options else questionnaire.scale_of(item).min
                row["answers"] = [least + sampled_step(answer, sampling, repeat) for repeat in range(sampling.repeats)]
            yield row


def measure_numbers(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain means of each repeat over the items with a usable answer (`n`); `parse_failures` is the share without."""
    questionnaire = items_of(context, benchmark)
    sampling, prompt_message = params.sampling or Sampling(), prompt_message_of(context, params.prompt)
    forms = forms_of(context, benchmark, questionnaire)
    asked = [
        (form, item, *number_wanted(form.questionnaire, worded, form.orders[0], form.setting, benchmark.forms))
        for form in forms
        for item, worded in zip(questionnaire.items, form.questionnaire.items, strict=True)
    ]
    prompts = [prompt_ids(loaded.tokenizer, prompt, prompt_message) for _, _, prompt, _, _ in asked]
    rows: list[dict[str, Any]] = []
    answers: list[tuple[Form, Item, int, int | None]] = []
    for repeat in range(sampling.repeats):
        texts = engine_of(sampling).write(
            loaded,
            prompts,
            temperature=sampling.temperature,
            max_new_tokens=min(sampling.max_new_tokens, WRITTEN_NUMBER),
            stream=f"{sampling.seed}/{repeat}",
        )
        for (form, item, _, meant, ends), (text, _) in zip(asked, texts, strict=True):
            number = rated_number(text, ends)
            answer = None if number is None else meant[number - ends[0]]
            row = {"item": item.id, "repeat": repeat, **form.name, **about_item(questionnaire, item, answer)}
            rows.append({**row, "text": text, "answer": answer})
            answers.append((form, item, repeat, answer))
        context.progress(repeat + 1, sampling.repeats, "repeats")
    metrics = [
        *domain_means(questionnaire, (each[1:] for each in answers)),
        disclaimers(row["text"] for row in rows),
        Metric.share("parse_failures", (row["answer"] is None for row in rows)),
    ]
    if benchmark.forms:
        metrics += number_form_metrics(questionnaire, [(each[0].setting, *each[1:]) for each in answers])
    return Measurement(rows, metrics)
