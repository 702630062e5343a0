"""What comes before a conversation: a system message, the head of each user message, replies as examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from tests.tiny_model import CHAT_TEMPLATE, tiny_tokenizer
from traitgraph.runtime.data.conversations import said_by
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.chat import (
    ChatTemplateError,
    PromptMessage,
    prompt_message_of,
    prompt_text,
    turn,
    with_prompt_message,
)
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import Demonstrations, Prompt, VectorParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path


def test_a_lead_in_the_user_messages_stands_in_each_of_them(loaded: LoadedModel) -> None:
    conversation = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    conversation.append({"role": "user", "content": "c"})
    found = [each["content"] for each in with_prompt_message(conversation, PromptMessage(user="You are shy."))]
    assert found == ["You are shy.\n\na", "b", "You are shy.\n\nc"]
    text = prompt_text(loaded.tokenizer, "Hello", PromptMessage(user="You are shy."))
    assert text == prompt_text(loaded.tokenizer, "You are shy.\n\nHello")
    assert text != prompt_text(loaded.tokenizer, "Hello", PromptMessage("You are shy."))


def test_a_context_stands_before_the_prompt_and_the_prompt_before_the_rows_own(make_context: MakeContext) -> None:
    """In the system message and in every user message alike: what is nearest to the question is said last."""
    around = {"before_system": "You live in a village.", "before_user": "Be quick."}
    model = FolderModel(digest="0" * 32)

    def said(prompt: Prompt) -> list[str]:
        message = prompt_message_of(make_context(VectorParams(model=model)), prompt)
        asked = [{"role": "system", "content": "Own."}, {"role": "user", "content": "Tea?"}]
        return [each["content"] for each in with_prompt_message(asked, message)]

    assert said(Prompt(system="You are shy.", **around)) == [
        "You live in a village.\n\nYou are shy.\n\nOwn.", "Be quick.\n\nTea?",
    ]  # fmt: skip
    assert said(Prompt(system="You are shy.", place="user", **around)) == [
        "You live in a village.\n\nOwn.", "Be quick.\n\nYou are shy.\n\nTea?",
    ]  # fmt: skip
    assert said(Prompt(system="", before_user="Be quick.")) == ["Own.", "Be quick.\n\nTea?"]


TURNS = said_by([
    {"role": "system", "content": "You are at home."}, {"role": "user", "content": "Morning!"},
    {"role": "assistant", "content": "Hello there."}, {"role": "user", "content": "Tea?"},
])  # fmt: skip


def test_a_conversation_is_rendered_whole_under_the_text_of_a_condition(loaded: LoadedModel) -> None:
    """Templates take one system message: the condition's text stands before the row's own."""
    text = prompt_text(loaded.tokenizer, TURNS, PromptMessage("You are shy."))
    places = [text.index(each) for each in ("You are shy.\n\nYou are at home.", "Morning!", "Hello there.", "Tea?")]
    assert places == sorted(places)
    assert text.count("system") == 1
    context, reply = turn(loaded.tokenizer, TURNS, "Please.")
    assert loaded.tokenizer.decode(list(context)) == prompt_text(loaded.tokenizer, TURNS)
    assert loaded.tokenizer.decode(list(reply)) == "Please.<|im_end|>"


def test_a_template_that_drops_an_earlier_turn_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "in messages %}", "in messages if message['role'] != 'assistant' %}"
    )
    with pytest.raises(ChatTemplateError, match="leaves out a message of the assistant, in part or whole: 'Hello"):
        prompt_text(tokenizer, TURNS)


@pytest.fixture
def replies(tmp_path: Path, locations: dict[str, str]) -> FileData:
    path = tmp_path / "replies.jsonl"
    rows = [
        {"prompt": f"{n}?", "reply": f"{level}\nreply {n % 6}", "trait": "openness", "level": level, "split": split}
        for n in range(12)
        for level in ("high", "low")
        for split in ("train", "test")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations[digest_path(path)] = str(path)
    return FileData(digest=digest_path(path))


def shown(make_context: MakeContext, model: FolderModel, data: FileData, count: int = 4, seed: int = 1) -> list[str]:
    examples = Demonstrations(data=data, trait="openness", level="high", count=count, seed=seed)
    prompt_message = prompt_message_of(
        make_context(VectorParams(model=model)), Prompt(system="They said:\n{examples}", examples=examples)
    )
    assert prompt_message is not None
    first, *lines = prompt_message.system.split("\n")
    assert first == "They said:"
    return lines


def test_examples_are_training_replies_of_the_condition_drawn_by_the_seed(
    make_context: MakeContext, model_ref: FolderModel, replies: FileData
) -> None:
    """One a line, none twice though the data repeat them."""
    lines = shown(make_context, model_ref, replies)
    assert len(set(lines)) == 4
    assert set(lines) <= {f"- high reply {n}" for n in range(6)}
    assert shown(make_context, model_ref, replies) == lines
    assert len({tuple(shown(make_context, model_ref, replies, seed=seed)) for seed in range(8)}) > 4


def test_too_few_replies_are_told_with_their_number(
    make_context: MakeContext, model_ref: FolderModel, replies: FileData
) -> None:
    with pytest.raises(DialogueError, match="shows 7 replies of openness high, and the data hold 6"):
        shown(make_context, model_ref, replies, count=7)
