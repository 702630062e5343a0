"""Render conversations as token ids with the tokenizer's own chat template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


Message = dict[str, str]

TEMPLATE_VARIABLES = {"date_string": "26 Jul 2024"}
"""Llama's templates print a date, and today's when none is given; the day of a run must not change its results. (The
value is the one that the template of Llama 3.1 falls back to.)"""


class ChatTemplateError(ValueError):
    """The tokenizer cannot render a conversation."""


class Turn(NamedTuple):
    """A reply in its conversation, as token ids."""

    context: tuple[int, ...]
    """Everything up to where the reply begins."""
    reply: tuple[int, ...]
    """The reply and its end-of-turn token, without the line break that a template puts after it."""


class Lead(NamedTuple):
    """Text that comes before what a user says: the prompt that makes a subject."""

    text: str
    place: Literal["system", "user"] = "system"
    """A message of its own, or the head of every user message."""


def messages(user: str, lead: Lead | None = None) -> list[Message]:
    """A conversation of one user message, after its lead when there is one."""
    return led([{"role": "user", "content": user}], lead)


def led(conversation: list[Message], lead: Lead | None) -> list[Message]:
    """The conversation with a lead that is not empty."""
    if lead is None or not lead.text:
        return conversation
    if lead.place == "system":
        return [{"role": "system", "content": lead.text}, *conversation]
    return [
        {**each, "content": f"{lead.text}\n\n{each['content']}"} if each["role"] == "user" else each
        for each in conversation
    ]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, user: str, lead: Lead | None = None) -> tuple[int, ...]:
    """Token ids of a user message up to where the assistant's reply begins."""
    return _ids(tokenizer, prompt_text(tokenizer, user, lead))


def turn(tokenizer: PreTrainedTokenizerBase, user: str, reply: str, lead: Lead | None = None) -> Turn:
    """A user message and a given reply, cut where the reply begins."""
    before = prompt_text(tokenizer, user, lead)
    whole = _whole_text(tokenizer, user, reply, lead)
    if not whole.startswith(before):
        raise ChatTemplateError(
            "the chat template renders a prompt differently once a reply follows; it cannot be scored"
        )
    return _parted(tokenizer, before, whole[len(before) :].rstrip())


def answer_ids(tokenizer: PreTrainedTokenizerBase, user: str, answer: str, lead: Lead | None = None) -> tuple[int, ...]:
    """Token ids of an answer that begins the assistant's reply, with what the template puts in front of it.

    What would follow it, such as the end of the turn, is left out.
    """
    before = prompt_text(tokenizer, user, lead)
    whole = _whole_text(tokenizer, user, answer, lead)
    head, found, _ = whole[len(before) :].partition(answer)
    return _parted(tokenizer, before, head + answer if found and whole.startswith(before) else answer).reply


def prompt_text(tokenizer: PreTrainedTokenizerBase, user: str, lead: Lead | None = None) -> str:
    """The rendered text of a user message up to where the assistant's reply begins."""
    return _heard(tokenizer, messages(user, lead), begin_reply=True)[1]


def _whole_text(tokenizer: PreTrainedTokenizerBase, user: str, reply: str, lead: Lead | None) -> str:
    conversation: list[Message] = [*messages(user, lead), {"role": "assistant", "content": reply}]
    return _heard(tokenizer, conversation, begin_reply=False)[1]


def system_in_user_message(conversation: list[Message]) -> list[Message]:
    """The conversation with its system message at the head of the first user message.

    For templates that know no system role (Gemma's). Without a leading system message the conversation is unchanged.
    """
    if len(conversation) < 2 or conversation[0]["role"] != "system":
        return conversation
    system, user, *rest = conversation
    return [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]


def heard(conversation: list[Message], render: Callable[[list[Message]], str]) -> tuple[list[Message], str]:
    """The conversation as a template wants it so that nothing is lost, and its text.

    A system message that the template refuses or leaves out goes to the head of the first user message. Raises
    ChatTemplateError where a message still does not reach the model, TemplateError where the template refuses it.
    """
    from jinja2 import TemplateError

    moved = system_in_user_message(conversation)
    try:
        text = render(conversation)
    except TemplateError:
        if moved is conversation:
            raise
        return heard(moved, render)
    if not (lost := next(_lost(conversation, text), None)):
        return conversation, text
    if moved is not conversation:
        return heard(moved, render)
    said = " ".join(lost["content"].split())[:200]
    raise ChatTemplateError(f"the chat template leaves out a message of the {lost['role']}, in part or whole: {said!r}")


def _lost(conversation: list[Message], text: str) -> Iterator[Message]:
    """What was said to the model and is not in the text, whatever the template does to white space and capitals."""
    said = [(each, _plainly(each["content"])) for each in conversation if each["role"] != "assistant"]
    whole = _plainly(text)
    for each, words in said:
        if words and whole.count(words) < sum(other.count(words) for _, other in said):
            yield each


def _plainly(text: str) -> str:
    return " ".join(text.split()).casefold()


def as_heard(tokenizer: PreTrainedTokenizerBase, conversation: list[Message]) -> list[Message]:
    """The conversation as the tokenizer's template wants it; see `heard`."""
    return _heard(tokenizer, conversation, begin_reply=True)[0]


def _heard(
    tokenizer: PreTrainedTokenizerBase, conversation: list[Message], *, begin_reply: bool
) -> tuple[list[Message], str]:
    if not tokenizer.chat_template:
        raise ChatTemplateError(
            f"the tokenizer of {tokenizer.name_or_path} has no chat template; give an instruct model"
        )
    options = {"tokenize": False, "add_generation_prompt": begin_reply, **TEMPLATE_VARIABLES}
    return heard(conversation, lambda each: str(tokenizer.apply_chat_template(each, **options)))


def _parted(tokenizer: PreTrainedTokenizerBase, before: str, after: str) -> Turn:
    """Two texts as tokens of their whole: by itself the second may be given a space in front (SentencePiece).

    Each by itself where a token would reach across the border.
    """
    context, whole = _ids(tokenizer, before), _ids(tokenizer, before + after)
    is_whole = whole[: len(context)] == context
    return Turn(context, whole[len(context) :] if is_whole else _ids(tokenizer, after))


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
