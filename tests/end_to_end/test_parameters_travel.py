"""What a worker reads is what the plan said: every parameter survives the way to it, `None` included."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from hypothesis import given, settings
from pydantic import Field

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import MISSING, Column, Draft, Stage, Table
from traitgraph.compiler.passes.key import key_jobs
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.worker.job_kinds import job_kind
from traitgraph.specs.jobs.params import JobRow, JobTable, TrainParams
from traitgraph.specs.jobs.refs import HubData, HubModel
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.job_kinds import JobParams
from traitgraph.specs.study.merge_methods import MERGE_METHODS, MergeMethod
from traitgraph.specs.study.training import ENGINES, Lora, SftTraining

from .values import instances, seen_in, to_be_seen

KINDS = {kind.kind: kind for kind in JobParams.__subclasses__() if kind.__module__ == "traitgraph.specs.jobs.params"}
TRAINING = SftTraining(learning_rate=1e-4, steps=10)


class Blurred(MergeMethod):
    """A merge method of another package: an option that can be taken back."""

    kind: Literal["blurred"] = Field("blurred", description="Blurred.")
    width: float | None = Field(0.5, description="Null: no blur.")


@pytest.fixture(autouse=True)
def _plugin() -> Iterator[None]:
    MERGE_METHODS.register("blurred", Blurred)
    ENGINES.register("parrot", "builtins:object")
    yield
    MERGE_METHODS.restart()
    ENGINES.restart()


def travelled(params: JobParams) -> tuple[JobRow, JobParams]:
    """The row that a worker reads from the file of a plan's job table, and the parameters that it works with."""
    row = {name: Column.constant(getattr(params, name), 1) for name in params.row_fields}
    template = {name: getattr(params, name) for name in type(params).model_fields if name not in row}
    stage = Stage(params.kind, params.kind, template, Table(row, 1))
    draft = key_jobs(Draft("study", stages=(stage,), status=bytes([MISSING])), Context())
    text = json.dumps(Plan(draft).job_table().model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
    (read,) = JobTable.model_validate_json(text.encode()).rows
    return read, job_kind(read.kind).validated(read)


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_every_parameter_reaches_the_worker(kind: str) -> None:
    """Over all models that a kind's parameters can hold: each field with a value and, where it may be, with None."""
    for wanted in to_be_seen(KINDS[kind]):

        @settings(max_examples=3)
        @given(instances(KINDS[kind], wanted))
        def survives(params: JobParams) -> None:
            assert wanted in seen_in(params)  # noqa: B023  # called at once
            assert travelled(params)[1] == params

        survives()


def train_params(**training: object) -> TrainParams:
    return TrainParams(
        model=HubModel(id="o/m", revision="main"),
        data=HubData(id="o/d", revision="main"),
        training=TRAINING.model_copy(update=training),
        trait="openness",
        level="high",
        seed=0,
    )


def test_a_null_that_takes_back_a_default_has_a_key_of_its_own() -> None:
    """Not that of the default, nor the one under which a default once took its place."""
    without = {name: value for name, value in TRAINING if name != "lora"}
    keys = {encode(TRAINING), encode(TRAINING.model_copy(update={"lora": None})), encode(without)}
    assert len(keys) == 3


def test_a_null_that_is_the_default_changes_no_key() -> None:
    class Longer(SftTraining):
        later: int | None = None

    assert encode(Longer(**dict(TRAINING))) == encode(TRAINING)


def without(row: JobRow, unwanted: Callable[[str, object], bool]) -> JobRow:
    """The row with some entries of its training left out."""
    training = {name: value for name, value in row.params["training"].items() if not unwanted(name, value)}  # type: ignore[attr-defined]
    return row.model_copy(update={"params": {**row.params, "training": training}})


def test_a_row_that_leaves_out_what_a_default_would_fill_is_refused() -> None:
    row, _ = travelled(train_params(lora=None))
    with pytest.raises(ValueError, match="what the plan says of training is not what this program reads; plan again"):
        job_kind("train").validated(without(row, lambda name, _: name == "lora"))


def test_a_row_of_an_earlier_version_is_read_where_only_nulls_are_missing() -> None:
    row, params = travelled(train_params(lora=Lora()))
    assert job_kind("train").validated(without(row, lambda _, value: value is None)) == params
