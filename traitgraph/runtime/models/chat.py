"""Conversations under the prompt that makes a subject, as token ids by the tokenizer's own chat template."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Self

from traitgraph.runtime.data.conversations import Message as Message
from traitgraph.runtime.data.conversations import Said, messages_of
from traitgraph.runtime.data.dialogues import Dialogue, load_dialogues, training_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.specs.jobs.params import Demonstrations, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


PLACE = "{examples}"
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


class PromptMessage(NamedTuple):
    """Text that comes before what a user says: the context around a subject, and the prompt that makes it."""

    system: str = ""
    """A message of its own."""
    user: str = ""
    """The head of every user message."""

    @classmethod
    def of(cls, prompt: Prompt, text: str | None = None) -> Self:
        """Those of a prompt, in each place the context first; `text` for the prompt's own."""
        said = prompt.system if text is None else text
        system, user = ("", said) if prompt.place == "user" else (said, "")
        return cls(_paragraphs(prompt.before_system, system), _paragraphs(prompt.before_user, user))


def _paragraphs(*texts: str | None) -> str:
    return "\n\n".join(filter(None, texts))


def prompt_message_of(context: JobContext, prompt: Prompt | None) -> PromptMessage | None:
    """What precedes a conversation under a prompt; None without one.

    Raises DialogueError when the data hold fewer replies than the prompt shows.
    """
    if prompt is None:
        return None
    text = prompt.system
    if prompt.examples is not None:
        wanted = prompt.examples
        replies = replies_to_show(load_dialogues(context, wanted.data, "examples"), wanted)
        drawn = random.Random(wanted.seed).sample(replies, wanted.count)  # without repeats
        text = text.replace(PLACE, "\n".join(f"- {reply}" for reply in drawn))
    return PromptMessage.of(prompt, text)


def replies_to_show(dialogues: Iterable[Dialogue], wanted: Demonstrations) -> list[str]:
    """Distinct training replies of the condition, each on one line. Raises DialogueError for fewer than are shown."""
    rows = training_rows(dialogues, wanted.trait, wanted.level)
    replies = list(dict.fromkeys(" ".join(row.reply.split()) for row in rows))
    if len(replies) < wanted.count:
        raise DialogueError(
            f"a prompt shows {wanted.count} replies of {wanted.trait} {wanted.level}, and the data hold {len(replies)}"
        )
    return replies


def messages(user: Said, prompt: PromptMessage | None = None) -> list[Message]:
    """What is said to the model under a prompt message, when there is one."""
    return with_prompt_message(messages_of(user), prompt)


def with_prompt_message(conversation: list[Message], prompt: PromptMessage | None) -> list[Message]:
    """The conversation under a prompt message, when there is one and it is not empty."""
    system, user = prompt or PromptMessage()
    if user:
        conversation = [
            {**each, "content": _paragraphs(user, each["content"])} if each["role"] == "user" else each
            for each in conversation
        ]
    if system and conversation[0]["role"] == "system":  # one of the row's own: templates take one
        first, *conversation = conversation
        system = _paragraphs(system, first["content"])
    return [{"role": "system", "content": system}, *conversation] if system else conversation


def prompt_ids(tokenizer: PreTrainedTokenizerBase, user: Said, prompt: PromptMessage | None = None) -> tuple[int, ...]:
    """Token ids of a user message up to where the assistant's reply begins."""
    return _ids(tokenizer, prompt_text(tokenizer, user, prompt))


def turn(tokenizer: PreTrainedTokenizerBase, user: Said, reply: str, prompt: PromptMessage | None = None) -> Turn:
    """A user message and a given reply, cut where the reply begins."""
    before = prompt_text(tokenizer, user, prompt)
    whole = _whole_text(tokenizer, user, reply, prompt)
    if not whole.startswith(before):
        raise ChatTemplateError(
            "the chat template renders a prompt differently once a reply follows; it cannot be scored"
        )
    return _parted(tokenizer, before, whole[len(before) :].rstrip())


def answer_ids(
    tokenizer: PreTrainedTokenizerBase, user: Said, answer: str, prompt: PromptMessage | None = None
) -> tuple[int, ...]:
    """Token ids of an answer that begins the assistant's reply, with what the template puts in front of it.

    What would follow it, such as the end of the turn, is left out.
    """
    before = prompt_text(tokenizer, user, prompt)
    whole = _whole_text(tokenizer, user, answer, prompt)
    head, found, _ = whole[len(before) :].partition(answer)
    return _parted(tokenizer, before, head + answer if found and whole.startswith(before) else answer).reply


def prompt_text(tokenizer: PreTrainedTokenizerBase, user: Said, prompt: PromptMessage | None = None) -> str:
    """The rendered text of a user message up to where the assistant's reply begins."""
    return _heard(tokenizer, messages(user, prompt), begin_reply=True)[1]


def _whole_text(tokenizer: PreTrainedTokenizerBase, user: Said, reply: str, prompt: PromptMessage | None) -> str:
    conversation: list[Message] = [*messages(user, prompt), {"role": "assistant", "content": reply}]
    return _heard(tokenizer, conversation, begin_reply=False)[1]


def heard(conversation: list[Message], render: Callable[[list[Message]], str]) -> tuple[list[Message], str]:
    """The conversation as a template wants it so that nothing is lost, and its text.

    A system message that the template refuses or leaves out goes to the head of the first user message. Raises
    ChatTemplateError where a message still does not reach the model, TemplateError where the template refuses it.
    """
    from jinja2 import TemplateError

    moved = conversation
    if len(conversation) > 1 and conversation[0]["role"] == "system":  # Gemma's template knows no such role
        system, user, *rest = conversation
        moved = [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]
    try:
        text = render(conversation)
    except TemplateError:
        if moved is conversation:
            raise
        return heard(moved, render)
    # What was said to the model and is not in the text, whatever the template does to white space and capitals.
    heard_of = conversation[:-1] if conversation[-1]["role"] == "assistant" else conversation
    said, whole = [_plainly(each["content"]) for each in heard_of], _plainly(text)
    for each in heard_of:
        words = _plainly(each["content"])
        if words and whole.count(words) < sum(other.count(words) for other in said):
            if moved is not conversation:
                return heard(moved, render)
            lost = " ".join(each["content"].split())[:200]
            raise ChatTemplateError(
                f"the chat template leaves out a message of the {each['role']}, in part or whole: {lost!r}"
            )
    return conversation, text


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
