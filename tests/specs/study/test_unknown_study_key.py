"""A misspelt key of the study is told once, at its place, however many arms take it over."""

from __future__ import annotations

from pathlib import Path

from traitgraph.specs.checks.validate import validate
from traitgraph.specs.source.yaml import read_text

TEXT = """\
study: s
model: smollm2-135m
traits: [extraversion]
benchmark: [mini-ipip]
benchmarks: [mini-ipip]
arms:
  base: {method: direct}
  told: {method: {kind: prompt, style: instruction}}
"""


def test_an_unknown_study_key_is_told_once(tmp_path: Path) -> None:
    document, _ = read_text(TEXT, tmp_path / "spec.yaml")
    assert document is not None
    _, found = validate(document)
    assert [(each.code, each.span.line if each.span else 0) for each in found] == [("TG101", 4)]
