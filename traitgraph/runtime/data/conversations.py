"""What is said before a reply: one text, or the messages of a conversation. Must not know a chat template.

Messages are written as OpenAI's (`role`, `content`) or as ShareGPT's (`from`, `value`): a system message or none, then
user and assistant by turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from traitgraph.specs.source.diagnostics import near_hint

ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
NAMES = (("role", "content"), ("from", "value"))

Message = dict[str, str]


@dataclass(frozen=True)
class Conversation:
    """Several messages before a reply. As text, each stands under its role; JSON refuses it, so that none is lost."""

    turns: tuple[tuple[str, str], ...]
    """Role and content of each message, the last of the user."""

    def __str__(self) -> str:
        return "\n\n".join(f"{role}: {content}" for role, content in self.turns)


Said = str | Conversation
"""What is said before a reply: the text of one message of the user, or several messages."""


def said_by(messages: Sequence[Message]) -> Said:
    """What messages say: plain text where it is one message of the user."""
    turns = tuple((each["role"], each["content"]) for each in messages)
    return turns[0][1] if len(turns) == 1 else Conversation(turns)


def messages_of(said: Said) -> list[Message]:
    """The messages, by our names."""
    turns = (("user", said),) if isinstance(said, str) else said.turns
    return [{"role": role, "content": content} for role, content in turns]


class NoConversationError(ValueError):
    """Messages that cannot be read: why, and what helps."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


def read_messages(value: object) -> list[Message]:
    """The messages of a row by our names, system messages without text left out. Raises NoConversationError."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise NoConversationError("must hold a list of messages")
    found = [_message(each) for each in value]
    found = [each for each in found if each["role"] != "system" or each["content"].strip()]
    spoken = found[1:] if found and found[0]["role"] == "system" else found
    for place, each in enumerate(spoken):
        wanted = "assistant" if place % 2 else "user"
        if each["role"] == "system":
            raise NoConversationError("has a system message that is not the first one")
        if each["role"] != wanted and not place:
            raise NoConversationError("begins with the assistant", "the first turn is the user's")
        if each["role"] != wanted:
            raise NoConversationError(f"has two messages of the {each['role']} in a row", "join them, or part the row")
        if not each["content"].strip():
            raise NoConversationError(f"has a message of the {wanted} without text")
    if not spoken:
        raise NoConversationError("has no message of the user")
    return found


def _message(value: object) -> Message:
    names = next((n for n in NAMES if isinstance(value, Mapping) and value.get(n[0]) is not None), None)
    if names is None or not isinstance(value, Mapping):
        raise NoConversationError(
            "has a message without a role", "a message has `role` and `content`, or `from` and `value`"
        )
    role, content = (value.get(name) for name in names)
    if str(role) not in ROLES:
        raise NoConversationError(f"has a message of the unknown role '{role}'", near_hint(str(role), ROLES))
    if value.get("tool_calls"):
        raise NoConversationError("has a message that calls tools", "only messages of text are read")
    if not isinstance(content, str):
        raise NoConversationError(f"has a message whose `{names[1]}` is not text", "only messages of text are read")
    return {"role": ROLES[str(role)], "content": content}
