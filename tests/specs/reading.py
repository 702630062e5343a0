"""A spec's text to its study or to its messages, as the command line does it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.source.diagnostics import Diagnostic, has_errors, render_text
from traitgraph.specs.study.study import Arm, Study

FLAT = """\
study: scaling
model: smollm2-135m
traits: all
data: {id: owner/dialogues}
method: vector
train: {method: sft, learning_rate: 1e-5, epochs: 1}
alpha: {from: 0.1, to: 2.0, step: 0.1}
benchmarks: mini-ipip
"""
"""The 200-model study: 5 traits x 2 levels x 20 alphas."""


def read(text: str, folder: Path, *overrides: str) -> tuple[Study | None, list[Diagnostic]]:
    """The study of a text that lies as `spec.yaml` in `folder`, and everything that is said about it."""
    path = folder / "spec.yaml"
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    document, found = compose(path, overrides)
    if document is None:
        return None, found
    study, more = validate(document)
    return study, [*found, *more]


def study_of(text: str, folder: Path, *overrides: str) -> Study:
    """The study of a text without faults; warnings are allowed."""
    study, found = read(text, folder, *overrides)
    assert not has_errors(found), render_text(found)
    assert study is not None
    return study


def arm_of(text: str, folder: Path, *overrides: str) -> Arm:
    """The only arm of a study."""
    (arm,) = study_of(text, folder, *overrides).resolved_arms()
    return arm


def faults_of(text: str, folder: Path, *overrides: str) -> list[str]:
    """'CODE path: message' of everything that is said about a text."""
    return [f"{each.code} {each.path}: {each.message}" for each in read(text, folder, *overrides)[1]]
