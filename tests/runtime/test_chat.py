"""Where a reply begins, in tokens: as in the whole conversation, which is what models are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tiny_model import CHAT_TEMPLATE, tiny_tokenizer
from traitgraph.runtime.chat import answer_ids, prompt_ids, turn

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
