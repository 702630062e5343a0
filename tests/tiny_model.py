"""A Llama of a few thousand weights and a byte-level tokenizer, both made in the test and saved as one folder.

The tokenizer has the ChatML template, every byte, and single tokens for the option letters, the digits and yes/no, so
that every benchmark runs on it. Random weights know nothing: tests with this model state rules of the program.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TRAINING_TEXT = (
    *("yes\nno\nYes yes No no Answer: A Answer: B Answer: C Answer: D Answer: E 1 2 3 4 5",) * 8,
    "I love going out and meeting people, and I talk to everyone at the party.",
    "I would rather stay at home with a book, thank you. Parties tire me.",
    "very inaccurate moderately inaccurate neither accurate nor inaccurate moderately accurate very accurate",
    "user assistant system You are a person. What do you do at the weekend? Question: Options: true false",
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with ChatML: end of text and padding are <|im_end|>, nothing is prepended."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        model_max_length=1024,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tiny_llama(vocabulary: int, *, seed: int = 0, hidden: int = 32, layers: int = 2) -> LlamaForCausalLM:
    """A float32 Llama with tied embeddings and random weights; equal seeds give equal weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


EMPTY = "\2\0\0\0\0\0\0\0{}"
"""A safetensors file without tensors."""


def model_like(folder: Path) -> Path:
    """A folder with the names of a model's files, for what only looks at these; nothing can be loaded from it."""
    folder.mkdir()
    for name, text in (
        ("config.json", '{"model_type": "llama"}'),
        ("model.safetensors", EMPTY),
        ("tokenizer.json", "{}"),
    ):
        (folder / name).write_text(text)
    return folder


def save_tiny_model(folder: Path, *, seed: int = 0, hidden: int = 32, layers: int = 2) -> Path:
    """Write the model and its tokenizer as a folder that transformers loads (safetensors), and return the folder."""
    tokenizer = tiny_tokenizer()
    model = tiny_llama(len(tokenizer), seed=seed, hidden=hidden, layers=layers)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
