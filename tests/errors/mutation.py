"""Specs as a tired person or a hostile one would write them: examples with a few changes at random.

`mutated(random)` gives a text; `answer(text, folder)` reads it as `traitgraph check` does and fails where no text may
lead: an exception, an answer without a reason, a message without a place.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.arms import STUDY_KEYS
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.source.diagnostics import has_errors, render_json, render_text
from traitgraph.specs.study.study import Study

ROOT = Path(__file__).parents[2]


def _texts(*patterns: str) -> tuple[str, ...]:
    files = [file for pattern in patterns for file in sorted(ROOT.glob(pattern))]
    return tuple(file.read_text(encoding="utf-8", errors="replace") for file in files)


SOUND = _texts("examples/*.yaml", "examples/papers/*.yaml")
SEEDS = _texts("tests/errors/*.yaml", "tests/golden/*/*.yaml")
KNOWN = """
method kind style from to step count log lora rank epochs steps learning_rate generate expert if only arm trait level
preset path id url local direct prompt sft dpo vector compose steer npti all high low openness ties task_arithmetic
mini-ipip gsm8k big5-chat llama-3.1-8b-instruct smollm2-135m reply_contrast vector_similarity description adjectives
intensity joint defaults _self_ hydra
"""
ODD = """
null true no ~ '' {} [] 0 -1 1 0.1 1e-4 1e300 1e999 .inf .nan 010 0x1F 2024-01-01 ??? ${study} ${a.b} {trait} {0} = <<
*a !!int !x { } [ ] ' # | > % @ --- ... ../.. /etc/passwd ~/x ~nobody/x a/b α γ é
"""
SPACED = ("9" * 30, "&a x", "- ", ": ", ", ", '"', "\\", "\U0001f600", "\u2028", "\x07", "\t", "x" * 300)
WORDS = (*STUDY_KEYS, *KNOWN.split(), *ODD.split(), *SPACED)


def mutated(random: Random) -> str:
    """A text that is nearly a spec."""
    text = random.choice(random.choice((SOUND, SEEDS)))
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        text = random.choice(MUTATIONS)(text, random)
    return text


def _delete_a_line(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    del lines[random.randrange(len(lines))]
    return "".join(lines)


def _move_a_line(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    line = random.choice(lines)
    lines.insert(random.randrange(len(lines) + 1), " " * random.choice((0, 0, 2, 3, 4)) + line.lstrip())
    return "".join(lines)


def _replace_a_word(text: str, random: Random) -> str:
    words = [place for place in range(len(text)) if text[place].isalnum() and not text[place - 1 : place].isalnum()]
    if not words:
        return random.choice(WORDS)
    start = random.choice(words)
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] in "_-."):
        end += 1
    return text[:start] + random.choice(WORDS) + text[end:]


def _insert_a_word(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(WORDS) + text[place:]


def _delete_characters(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + text[place + random.randint(1, 5) :]


def _add_an_entry(text: str, random: Random) -> str:
    return f"{text}\n{random.choice(WORDS)}: {random.choice(WORDS)}\n"


def _cross_with_another(text: str, random: Random) -> str:
    other = random.choice(SEEDS)
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


MUTATIONS = (
    _delete_a_line, _move_a_line, _replace_a_word, _replace_a_word, _insert_a_word, _delete_characters, _add_an_entry,
    _cross_with_another,
)  # fmt: skip


def answer(text: str, file: Path) -> Study | None:
    """The study of a text written to `file`, or None when it is refused. Raises where no text may lead."""
    file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    document, faults = compose(file)
    study = None
    if document is not None:
        study, found = validate(document)
        faults += found
    assert has_errors(faults) or study is not None, "refused without a reason"
    for fault in faults:
        assert fault.span is None or 1 <= fault.span.column <= len(fault.span.text) + 1, fault
    assert render_text(faults) or not faults
    render_json(faults)
    return None if has_errors(faults) else study
