"""Where a reply begins, in tokens: as in the whole conversation, which is what models are trained on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest

from tests.tiny_model import CHAT_TEMPLATE, tiny_tokenizer
from traitgraph.runtime.models.chat import (
    ChatTemplateError,
    PromptMessage,
    answer_ids,
    as_heard,
    messages,
    prompt_ids,
    prompt_text,
    turn,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# As those of Zephyr and of Llama 2: a line break or a space stands before the reply.
LINE_BREAK = (
    "{% for message in messages %}{{ '[' + message['role'] + ']\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '[assistant]\n' }}{% endif %}"
)
SPACE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def sentencepiece(template: str) -> PreTrainedTokenizerBase:
    """A tokenizer that gives each text a space in front, as those of Llama 2 and Mistral do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # no token goes on after a word
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(["A B C I talk to everyone [user] [assistant] [INST] [/INST] Hello?"] * 9, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<unk>"
    )
    fast.chat_template = template
    return fast


@pytest.fixture(params=["bytes", "line break", "space"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    return (
        tiny_tokenizer()
        if request.param == "bytes"
        else sentencepiece({"line break": LINE_BREAK}.get(request.param, SPACE))
    )


@pytest.mark.parametrize("reply", ["I talk to everyone", "A"])
def test_a_reply_has_the_tokens_that_it_has_in_the_whole(tokenizer: PreTrainedTokenizerBase, reply: str) -> None:
    conversation = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": reply}]
    whole = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False)
    context, own = turn(tokenizer, "Hello?", reply)
    assert context == prompt_ids(tokenizer, "Hello?")
    assert [*context, *own] == whole[: len(context) + len(own)]
    assert tokenizer.decode(whole[len(context) + len(own) :]).strip() == ""
    assert own[-1] == tokenizer.eos_token_id
    answer = answer_ids(tokenizer, "Hello?", reply)
    assert answer == own[: len(answer)]
    assert tokenizer.decode(answer).strip() == reply


def test_what_a_template_puts_before_a_reply_is_part_of_an_answer() -> None:
    """Models that may think first are asked for the answer of one who does not."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "message['content'] +", "('no thoughts\\n' if message['role'] == 'assistant' else '') + message['content'] +"
    )
    assert tokenizer.decode(answer_ids(tokenizer, "Hello?", "A")) == "no thoughts\nA"


def test_an_answer_can_be_scored_where_a_template_renders_replies_otherwise() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace("assistant\\n' }}{% endif", "assistant\\n<think>' }}{% endif")
    assert tokenizer.decode(answer_ids(tokenizer, "Hello?", "A")) == "A"


DROPS = CHAT_TEMPLATE.replace(
    "{% for message in messages %}", "{% for message in messages if message['role'] != 'system' %}"
)
REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHAT_TEMPLATE
CHANGES = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim | lower | replace('\\n', '  ')")
TOLD = PromptMessage("You are  a Person\nwith high openness.")


def templated(template: str) -> PreTrainedTokenizerBase:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [DROPS, REFUSES], ids=["leaves it out", "refuses it"])
@pytest.mark.parametrize("user", ["Hello?", TOLD.system], ids=["other words", "the same words"])
def test_a_system_message_without_a_place_goes_to_the_head_of_the_users(template: str, user: str) -> None:
    """In prompts, before scored replies and in what is learnt, all alike."""
    tokenizer, inside = templated(template), f"{TOLD.system}\n\n{user}"
    assert prompt_text(tokenizer, user, TOLD) == prompt_text(tokenizer, inside)
    assert turn(tokenizer, user, "I do.", TOLD) == turn(tokenizer, inside, "I do.")
    assert as_heard(tokenizer, messages(user, TOLD)) == messages(inside)


def test_white_space_and_capitals_are_the_templates_own_affair() -> None:
    asked = messages("Hello?", TOLD)
    assert as_heard(templated(CHANGES), asked) is asked
    assert as_heard(tiny_tokenizer(), asked) is asked


@pytest.mark.parametrize("place", ["system", "user"])
def test_a_text_that_a_template_cuts_is_named(place: Literal["system", "user"]) -> None:
    tokenizer = templated(CHAT_TEMPLATE.replace("message['content']", "message['content'][:20]"))
    with pytest.raises(ChatTemplateError, match=r"leaves out a message of the user.*'You are a Person with high openn"):
        prompt_text(tokenizer, "Hello?", PromptMessage(**{place: TOLD.system}))


def test_earlier_turns_that_a_template_forgets_are_named() -> None:
    """Worked examples that are turns of a conversation would else be dropped without a word."""
    tokenizer = templated(CHAT_TEMPLATE.replace("in messages %}", "in messages[-1:] %}"))
    asked = [*messages("2 + 2?"), {"role": "assistant", "content": "4"}, *messages("2 + 3?")]
    with pytest.raises(ChatTemplateError, match=re.escape("'2 + 2?'")):
        as_heard(tokenizer, asked)
