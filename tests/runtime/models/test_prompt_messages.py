"""What comes before a conversation: a system message, the head of each user message, replies as examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.chat import PromptMessage, prompt_message_of, prompt_text, with_prompt_message
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import Demonstrations, Prompt, VectorParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path


def test_a_lead_in_the_user_messages_stands_in_each_of_them(loaded: LoadedModel) -> None:
    conversation = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    conversation.append({"role": "user", "content": "c"})
    found = [each["content"] for each in with_prompt_message(conversation, PromptMessage("You are shy.", "user"))]
    assert found == ["You are shy.\n\na", "b", "You are shy.\n\nc"]
    text = prompt_text(loaded.tokenizer, "Hello", PromptMessage("You are shy.", "user"))
    assert text == prompt_text(loaded.tokenizer, "You are shy.\n\nHello")
    assert text != prompt_text(loaded.tokenizer, "Hello", PromptMessage("You are shy."))


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
    first, *lines = prompt_message.text.split("\n")
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
