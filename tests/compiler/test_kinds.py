"""The record of each kind of job agrees with its parameters, and with what lowering makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.study.job_kinds import KINDS, JobParams, is_training, place_of, row_fields_of

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").glob("**/*.yaml") if "study:" in path.read_text()
)


def test_every_parameter_model_has_one_record_under_its_name() -> None:
    ours = [each for each in JobParams.__subclasses__() if each.__module__ == "traitgraph.specs.jobs.params"]
    assert {each.kind: each for each in ours} == {kind: KINDS.get(kind).params for kind in KINDS.builtin}


def test_the_order_of_kinds_is_that_in_which_they_run() -> None:
    assert sorted(KINDS.builtin, key=place_of) == [name for name in KINDS.names() if name in KINDS.builtin]
    assert len({place_of(kind) for kind in KINDS.builtin}) == len(KINDS.builtin)


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_lowering_gives_a_kind_the_inputs_that_its_record_names(spec: Path) -> None:
    for stage in compile_study(load_study(spec), Context()).draft.stages:
        assert {each.name for each in stage.inputs} <= set(KINDS.get(stage.kind).inputs), stage.kind


def test_of_a_kind_that_nobody_knows_nothing_is_assumed() -> None:
    """A store may hold jobs of a package that is gone."""
    assert (is_training("gone"), row_fields_of("gone")) == (False, ())
    assert place_of("gone") > max(map(place_of, KINDS.builtin))
