"""Every axis is a column of the results: of the language, of one study, of a plug-in."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from traitgraph.compiler.ir.dimensions import NOUNS, axis_columns
from traitgraph.compiler.ir.ir import Column, Table, row_ids
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.results.table import columns_of, coordinates, table_of
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.composition.arms import AXIS_KEYS
from traitgraph.specs.jobs.results import AXES, Cell
from traitgraph.specs.study.filters import AxisName
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.prompts import PROMPT_STYLES

from .specs import context, plan_of

GENERATED = (Path(__file__).parents[1] / "golden/lower_methods/generated_dialogues.yaml").read_text().split("---")[0]
ROOT = Path(__file__).parents[2]
DATA = """\
study: s
model: owner/model
traits: [openness, extraversion]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
benchmarks: [mini-ipip]
"""


def axes_of_the_language() -> Iterator[str]:
    """What filters and zips can name, what keys of an arm hold, and the parameters of a method that say `Axis:`."""
    yield from get_args(AxisName)
    yield from AXIS_KEYS
    yield from NOUNS
    for _, kind in (*METHODS.items(), *PROMPT_STYLES.items()):
        yield from (name for name, field in kind.model_fields.items() if (field.description or "").startswith("Axis:"))


def test_every_axis_of_the_language_has_a_column() -> None:
    axes = set(axes_of_the_language())
    assert {"intensity", "layer", "coefficient", "onto"} <= axes
    assert axes - {"combination"} == set(AXES), "level combinations are told as trait and level"


def assert_columns_tell_subjects_apart(plan: Plan) -> None:
    for arm in plan.draft.arms:
        cells = [cell for cell in plan.cells if cell.arm == arm.name]
        for benchmark, _ in arm.assessments:
            points = {cell.axes for cell in cells if cell.benchmark == benchmark}
            assert len(points) == arm.subjects.rows, "each subject differs from every other in a column"


EXAMPLES = sorted([*ROOT.glob("examples/*.yaml"), *ROOT.glob("examples/papers/*.yaml")])


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_no_two_subjects_of_an_arm_share_all_columns(spec: Path) -> None:
    assert_columns_tell_subjects_apart(compile_study(load_study(spec), context()))


def test_what_a_name_tells_has_a_column() -> None:
    """Options of merge methods and gammas of generated data stand in names, and in columns of their own."""
    merges = "[ties, {kind: dare, density: 0.5, seed: 1}, {kind: dare, density: 0.2, seed: 1}]"
    plan = plan_of(DATA + f"method: vector\nmerge: {merges}\nalpha: 1\n")
    assert_columns_tell_subjects_apart(plan)
    found = {(row["merge"], row["merge.density"]) for row in map(coordinates, plan.cells)}
    assert found == {("ties", 0.2), ("dare", 0.5), ("dare", 0.2)}
    assert {cell.method_label for cell in plan.cells} == {"vector"}
    assert {cell.merge_label for cell in plan.cells} == {"ties", "dare density=0.5", "dare density=0.2"}
    written = GENERATED.replace("gamma: 0.5", "gamma: [0.5, 1]")
    found = {(row["data"], row["data.gamma"]) for row in map(coordinates, plan_of(written).cells)}
    assert found == {("generated-gamma-0.5", 0.5), ("generated-gamma-1", 1)}


def test_an_axis_of_a_plug_in_is_a_column_of_numbers_or_words() -> None:
    codes = row_ids((0, 1))
    doses, moods = Column((Decimal("0.50"), Decimal(2)), codes), Column(("calm", "7 out of 10"), codes)
    columns = axis_columns(Table({"mood": moods, "dose": doses, "seed": Column((3, 4), codes)}, 2))
    assert list(columns.columns) == ["seed", "mood", "dose"], "axes of the language first"
    points = zip(*([(name, str(text)) for text in column] for name, column in columns.columns.items()), strict=True)
    first, second = (coordinates(Cell("s", "a", "own", "own", "", point, "b", "j")) for point in points)
    assert (first["seed"], first["mood"], first["dose"], first["alpha"]) == (3, "calm", 0.5, None)
    assert (second["mood"], second["dose"]) == ("7 out of 10", 2)
    table = table_of([{**row, "metric": "m", "value": 1.0} for row in (first, second)])  # type: ignore[typeddict-item]
    assert (table["dose"], table["mood"][0], table["layer"]) == ((float, [0.5, 2.0]), str, (int, [None, None]))


def test_one_alpha_for_each_trait_is_a_column_for_each() -> None:
    text = DATA + "method: compose\nalpha: {extraversion: [0.5, 1], openness: 2}\n"
    plan = plan_of(text)
    rows = list(map(coordinates, plan.cells))
    assert {(row["alpha"], row["alpha:extraversion"], row["alpha:openness"]) for row in rows} == {
        (None, 0.5, 2), (None, 1, 2),
    }  # fmt: skip
    columns = columns_of(rows)  # type: ignore[arg-type]  # rows without a measurement
    assert columns.index("seed") < columns.index("alpha:openness") < columns.index("benchmark")


def test_a_strength_keeps_the_digits_of_the_spec() -> None:
    long = "0.1000000000000000055511151231257827"
    plan = plan_of(DATA + f"method: vector\nalpha: [{long}, 0.30, 1e-7]\n")
    found = {repr(row["alpha"]): row["alpha"] for row in map(coordinates, plan.cells)}
    assert found == {long: 0.1, "0.3": 0.3, "0.0000001": 1e-7}
