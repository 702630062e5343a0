"""Mode `choice` of a questionnaire: the likelihood of its answer options.

Each item is asked twice, with the options in scale order and reversed, because small models prefer a letter whatever it
stands for; and once as a yes/no question, to see whether a model that agrees also agrees with the opposite.
Everything is forward passes: the instructions, which all items share, are computed once an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import PromptMessage, answer_ids, prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import Engine, engine_of
from traitgraph.runtime.models.likelihood import Request
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.training import Sampling

from .items import Questionnaire
from .modes import items_of
from .scores import ItemAnswers, questionnaire_metrics, sampled_step

NO_SAMPLING = Sampling(temperature=1.0, repeats=1)
YES_NO = ("Yes", "No")


class _Form(NamedTuple):
    """One way of asking every item: the prompt before the statement, and the answers in scale order."""

    name: str
    prompt: str
    answers: tuple[str, ...]


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """Domain scores of each repeat and their expectation, with validity checks; see `scores.py`."""
    questionnaire = items_of(context, benchmark)
    sampling = params.sampling or NO_SAMPLING
    prompt_message = prompt_message_of(context, params.prompt)
    forms = _forms(questionnaire)
    logprobs = []
    for number, form in enumerate(forms):
        context.progress(number, len(forms), "forms of the questionnaire")
        logprobs.append(_option_logprobs(loaded, questionnaire, form, prompt_message, engine_of(sampling)))
    context.progress(len(forms), len(forms), "forms of the questionnaire")
    answers = [
        ItemAnswers(item, (forward, backward), yes_no)
        for item, forward, backward, yes_no in zip(questionnaire.items, *logprobs, strict=True)
    ]
    rows = [_row(questionnaire, answer, sampling) for answer in answers]
    return Measurement(rows, questionnaire_metrics(questionnaire, answers, sampling))


def _forms(questionnaire: Questionnaire) -> tuple[_Form, _Form, _Form]:
    anchors = questionnaire.response_scale.anchors
    letters = tuple(ascii_uppercase[: len(anchors)])
    yes_no = "Does this statement describe you? Answer with Yes or No.\nStatement: "
    return (
        _Form("forward", _choice_prompt(letters, anchors), letters),
        # Listed from the top: the first letter now stands for the last step, so answers in scale order are reversed.
        _Form("backward", _choice_prompt(letters, anchors[::-1]), letters[::-1]),
        _Form("yes_no", yes_no, YES_NO),
    )


def _choice_prompt(letters: Sequence[str], anchors: Sequence[str]) -> str:
    options = "\n".join(f"{letter}. {anchor}" for letter, anchor in zip(letters, anchors, strict=True))
    # The statement stands last, so that all items share everything before it.
    return f"How accurately does a statement describe you? Answer with one letter.\n{options}\nStatement: "


def _option_logprobs(
    loaded: LoadedModel, questionnaire: Questionnaire, form: _Form, prompt_message: PromptMessage | None, engine: Engine
) -> list[tuple[float, ...]]:
    """For each item, log p of each answer of the form, in scale order. [nats]"""
    tokenizer = loaded.tokenizer
    prompts = [form.prompt + questionnaire.statement(item) for item in questionnaire.items]
    answers = [answer_ids(tokenizer, prompts[0], answer, prompt_message) for answer in form.answers]
    contexts = [prompt_ids(tokenizer, prompt, prompt_message) for prompt in prompts]
    scores = engine.likelihoods(loaded, [Request(ids, answer) for ids in contexts for answer in answers])
    width = len(answers)
    return [
        tuple(score.total for score in scores[at * width : (at + 1) * width]) for at in range(len(questionnaire.items))
    ]


def _row(questionnaire: Questionnaire, answer: ItemAnswers, sampling: Sampling) -> dict[str, object]:
    """Everything that was heard and drawn for one item."""
    lowest = questionnaire.response_scale.min
    return {
        "item": answer.item.id,
        "statement": questionnaire.statement(answer.item),
        "trait": answer.item.trait,
        "keyed": answer.item.keyed,
        "scale": questionnaire.response_scale.ends,
        "logprobs_forward": list(answer.orders[0]),
        "logprobs_backward": list(answer.orders[1]),
        "logprobs_yes_no": list(answer.yes_no),
        "answers": [lowest + sampled_step(answer, sampling, repeat) for repeat in range(sampling.repeats)],
    }
