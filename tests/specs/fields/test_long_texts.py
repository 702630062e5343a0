"""A text that is asked for and could never be finished is told before it is written hundreds of times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import read
from traitgraph.specs.source.diagnostics import render_text

SPEC = """\
study: s
model: smollm2-135m
benchmarks: [mini-ipip, {kind: KIND, lexicon: words.json}]
sampling: {temperature: 0.6, max_new_tokens: TOKENS}
arms: {base: {method: direct}, prompt: {method: prompt, traits: [openness], levels: [high]}}
"""


@pytest.mark.parametrize(("kind", "words"), [("linguistic", 300), ("story", 800)])
def test_fewer_tokens_than_words_are_a_warning_once(tmp_path: Path, kind: str, words: int) -> None:
    (tmp_path / "words.json").write_text('{"joy": ["happ*"]}')
    spec = SPEC.replace("KIND", kind)
    study, found = read(spec.replace("TOKENS", str(words - 1)), tmp_path)
    assert study is not None
    (warning,) = found
    said = render_text([warning])
    assert f"warning[TG131]: `{kind}` asks for {words} words, and each text is cut at {words - 1} tokens" in said
    assert f"max_new_tokens: {2 * words}" in said
    assert "spec.yaml:3:" in said
    assert read(spec.replace("TOKENS", str(words)), tmp_path)[1] == []


def test_a_fault_of_sampling_is_not_told_as_a_text_that_is_cut(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text('{"joy": ["happ*"]}')
    _, found = read(SPEC.replace("KIND", "story").replace("TOKENS", "-3"), tmp_path)
    assert [each.severity for each in found] == ["error"]
