"""Job keys: frozen literals, and what does and does not change them."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.compiler.ir.ir import Column, Input, Stage, Table, row_ids, to_json
from traitgraph.compiler.passes.key import stage_keys
from traitgraph.specs.jobs.params import Steering
from traitgraph.specs.jobs.refs import GgufModel, HubData, HubModel
from traitgraph.specs.study.merge_methods import TaskArithmetic
from traitgraph.specs.study.training import SftTraining

from .specs import SWEEP, keys_by_label, keys_of, plan_of

MODEL = HubModel(id="owner/model", revision="0123abc")
A, B = bytes(range(16)), bytes(range(16, 32))


def _keys(stage: Stage, *known: bytes) -> list[str]:
    return [key.hex() for key in stage_keys(stage, list(known))]


def test_keys_of_each_kind_are_frozen() -> None:
    """A changed literal here re-keys every store: it needs a new kind version and a line in the changelog."""
    one = Table({}, 1)
    gguf = Stage("prepare", "prepare", {"model": GgufModel(digest="0" * 32)}, one)
    training = {
        "model": MODEL,
        "data": HubData(id="owner/data", revision="main"),
        "training": SftTraining(learning_rate=1e-4, steps=10),
    }
    condition = {"trait": ("openness",), "level": ("high",), "seed": (0,)}
    row = Table({name: Column(values, row_ids((0,))) for name, values in condition.items()}, 1)
    merge = Table({"coefficients": Column(((0.5, 1),), row_ids((0,)))}, 1)
    combine = {"model": MODEL, "method": TaskArithmetic(), "keep": "recipe"}
    both = Input("vectors", row_ids((0, 1)), width=2)
    assert {
        "prepare": _keys(gguf),
        "train": _keys(Stage("train", "train", training, row)),
        "vector": _keys(Stage("vector", "vector", {"model": MODEL}, one, (Input("tuned", row_ids((0,))),)), A),
        "merge": _keys(Stage("merge", "merge", combine, merge, (both,)), A, B),
        "collect": _keys(Stage("collect", "collect", {}, one, (Input("assess", row_ids((0, 1)), 2, True),)), A, B),
    } == {
        "prepare": ["63051e02d5104c5c1351a2255b4a182c"],
        "train": ["dc894f8cec226e73ead41bd76e07f4be"],
        "vector": ["95e837db09298390544f3b92d784c696"],
        "merge": ["f910e6bd241854142131172bf10d375b"],
        "collect": ["72e82c66330f81f1333deab5f48f2e5f"],
    }


def test_one_alpha_alone_has_the_key_it_has_in_a_grid() -> None:
    grid, alone = keys_by_label(plan_of(SWEEP)), keys_by_label(plan_of(SWEEP, "alpha=0.5"))
    assert set(alone.values()) - set(grid.values()) == {alone["collect"]}


def test_numbers_are_compared_by_value_not_by_spelling() -> None:
    assert keys_by_label(plan_of(SWEEP)) == keys_by_label(
        plan_of(SWEEP.replace("0.5", "0.50").replace("1e-4", "0.0001"))
    )


def test_order_of_inputs_counts_for_merges_and_not_for_collections() -> None:
    table = Table({"coefficients": Column(((1, 1),), row_ids((0,)))}, 1)
    template = {"model": MODEL, "method": TaskArithmetic()}
    merge = Stage("merge", "merge", template, table, (Input("vectors", row_ids((0, 1)), width=2),))
    collect = Stage("collect", "collect", {}, Table({}, 1), (Input("assess", row_ids((0, 1)), 2, unordered=True),))
    assert _keys(merge, A, B) != _keys(merge, B, A)
    assert _keys(collect, A, B) == _keys(collect, B, A)


ARMS = """\
study: arms
model: owner/model
traits: [openness, extraversion, neuroticism]
levels: [high, low]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10, lora: {rank: 4, alpha: 8}}
benchmarks: [mini-ipip, reply_contrast, {kind: lm_eval, task: arc_easy}]
sampling: {temperature: 0.6, repeats: 2}
arms:
  base: {method: direct}
  told: {method: prompt}
  tuned: {method: sft}
  scaled: {method: vector, alpha: [-1, 0, 0.5, 1], merge: [task_arithmetic, {kind: ties, density: 0.2}]}
"""
ARMS = ARMS.replace("owner/dialogues", "rows.jsonl")


def shuffled(value: object, order: random.Random) -> object:
    """The same mapping with its keys, and every axis with its values, in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, order)) for key, item in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return order.sample(value, len(value))
    return value


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_order_of_keys_and_of_axes_changes_no_key(order: random.Random) -> None:
    again = yaml.safe_dump(shuffled(yaml.safe_load(ARMS.replace("1e-4", "1.0e-4")), order), sort_keys=False)
    assert _all_keys(again) == _all_keys(ARMS)


@settings(max_examples=10)
@given(st.permutations(["base", "told", "tuned", "scaled"]), st.text("abcdefgh", min_size=1, max_size=6))
def test_names_of_arms_and_studies_change_no_key(names: list[str], study: str) -> None:
    document = yaml.safe_load(ARMS.replace("1e-4", "1.0e-4"))
    document["arms"] = dict(zip(names, document["arms"].values(), strict=True))
    document["study"] = study
    assert _all_keys(yaml.safe_dump(document)) == _all_keys(ARMS)


def test_comments_change_no_key() -> None:
    assert _all_keys("# why\n" + ARMS.replace("levels:", "levels:   # both\n ")) == _all_keys(ARMS)


def _all_keys(text: str) -> set[bytes]:
    return set(plan_of(text).draft.keys)


TUNED = {"train", "vector", "merge", "assess", "collect"}
SUBJECTS = {"merge", "assess", "collect"}
MEASURES = {"assess", "collect"}


@pytest.mark.parametrize(
    ("override", "kinds"),
    [
        ("model=owner/other", TUNED),
        ("data=other.jsonl", TUNED),
        ("train.learning_rate=2e-4", TUNED),
        ("train.lora.rank=8", TUNED),
        ("arms.scaled.merge=[task_arithmetic,{kind:ties,density:0.3}]", SUBJECTS),
        ("sampling.temperature=0.7", MEASURES),
        ("arms.told.method={kind:prompt,template:'Be {level} in {trait}.'}", MEASURES),
    ],
)
def test_a_changed_field_rekeys_exactly_the_kinds_that_depend_on_it(override: str, kinds: set[str]) -> None:
    before, after = plan_of(ARMS), plan_of(ARMS, override)
    changed = {kind for kind in before.counts.by_kind if keys_of(before, kind) != keys_of(after, kind)}
    assert changed == kinds


def test_temperature_rekeys_only_benchmarks_that_draw_answers() -> None:
    before, after = keys_by_label(plan_of(ARMS)), keys_by_label(plan_of(ARMS, "sampling.temperature=0.7"))
    changed = {label.split()[1] for label in before if before[label] != after[label] and label != "collect"}
    assert changed == {"mini-ipip"}


def test_a_text_that_needs_room_runs_no_comparison_of_letters_again() -> None:
    both = "benchmarks=[mini-ipip,{kind: questionnaire, items: mini-ipip, mode: generate, name: numbers}]"
    before, after = plan_of(ARMS), plan_of(ARMS, both, "+sampling.max_new_tokens=2048")
    kept = {label: key for label, key in keys_by_label(before).items() if label.startswith("assess mini-ipip")}
    assert kept
    assert kept.items() <= keys_by_label(after).items()


def test_training_settings_leave_the_base_alone() -> None:
    before, after = keys_by_label(plan_of(ARMS)), keys_by_label(plan_of(ARMS, "train.steps=20"))
    same = {label for label in before if before[label] == after[label]}
    assert {"assess mini-ipip", "assess mini-ipip openness high prompted"} <= same
    assert "assess mini-ipip openness high tuned" not in same


def test_a_number_of_a_row_is_written_in_one_form_whatever_its_digits() -> None:
    """1E+1 and 10.0 are one number under one key: their rows are one text."""
    exact, other = (Decimal(text) for text in ("1E+1", "10.0"))
    assert to_json(exact) == to_json(other) == "10"
    steered = [Steering(layer=1, coefficient=each, positions="all", normalise=False) for each in (exact, other)]
    assert [each.model_dump(mode="json")["coefficient"] for each in steered] == ["10", "10"]
    assert steered[0].model_dump()["coefficient"] is exact
