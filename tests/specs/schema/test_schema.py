"""The JSON Schema says of every spec what `check` says: examples are valid, and broken ones are broken for both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import jsonschema
import pytest
from yaml import safe_load

from tests.specs.study.test_study import SPECS
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.schema.schema import study_schema
from traitgraph.specs.source.diagnostics import Diagnostic, has_errors
from traitgraph.specs.source.positions import LATIN, Document
from traitgraph.specs.source.yaml import read_document
from traitgraph.specs.study.merge_methods import MERGE_METHODS, Conventions

Where = tuple[str | int, ...]

TOLD_BY_BOTH = {"TG101", "TG102", "TG103", "TG104", "TG120"}
"""Codes of faults that a schema can see; names, paths and arithmetic need more than the text."""

WHOLE = (
    """
    study: generated
    model: {id: a/b, dtype: float32}
    traits: [openness, neuroticism]
    levels: all
    method: {kind: compose, combinations: [{openness: high, neuroticism: low}], }
    train:
      {method: dpo, learning_rate: 1e-5, steps: 10,
       lora: {rank: 4, targets: [q_proj, v_proj]}, validation: {share: 0.1, every: 5}}
    data:
      generate:
        model: a/c
        expert: {model: a/d, instruction: "{trait} {level}", data: {id: a/e}, train: big5-chat-generator}
        scenarios: {id: a/f, split: train, fields: {prompt: text}}
        combine: difference
        anti_expert: opposite
        gamma: {log: {from: 0.1, to: 10, count: 3}}
        persona: {style: adjectives, count: 3}
        decoding: {temperature: 0, max_new_tokens: 10}
    alpha: {openness: [0.1, 0.2], neuroticism: {from: 0, to: 1, count: 3}}
    onto: {model: a/g, alpha: 1, names: {model.: model.language.}}
    merge:
      - {kind: ties, conventions: personality-vector-repo}
      - {kind: dare, density: 0.3, seed: 1}
      - {kind: breadcrumbs, elect: mass, mean: count, normalise: false}
    prompt: {style: instruction, place: user}
    keep: weights
    seeds: [0, 1]
    benchmarks: [{kind: mini-ipip, mode: generate}, {kind: ipip-neo-120, mode: interview, judge: {local: a/judge}}]
    analyses: [vector_similarity]
    sampling: {temperature: 0.5, repeats: 2}
    exclude: [{merge: {kind: dare}, seed: 1}]
    when: [{if: {merge: ties}, only: {seed: 0}}]
    tracking: {wandb: {project: p}}
    """,
    """
    study: steered
    model: [smollm2-135m, {preset: llama-3.1-8b-instruct, dtype: float32}]
    traits: openness
    data: a/b
    zip: [[model, layer]]
    benchmarks:
      - {kind: questionnaire, items: mini-ipip, mode: interview, judge: {local: a/judge, temperature: 0}}
      - {kind: open_questions, questions: a/q, judge: {url: "https://judge.test", model: m, key_from: KEY}}
      - {kind: story, lexicon: words.json}
      - {kind: lm_eval, task: arc_easy, shots: 2, chat_template: false, limit: 10, filters: [none]}
    arms:
      steer: {method: {kind: steer, layer: [3, 4], coefficient: {from: -1, to: 1, step: 1}, positions: all}}
      npti: {method: {kind: npti, personas: instruction, neurons: 10}, gamma: [0.5, 1], levels: low, zip: []}
      shown: {method: {kind: prompt, style: demonstration, examples: 2}, zip: []}
      sized:
        method:
          {kind: prompt, style: intensity, intensity: [1, 5],
           definitions: {openness: d}, anchors: {openness: [a, b, c, d, e]}}
        zip: []
      told: {method: {kind: prompt, style: description, descriptions: {openness: {high: h, low: l}}}, zip: []}
    include: [{arm: npti, gamma: 2}]
    """,
)
"""Between them, every method of the language, and most of its keys."""

WRONG: tuple[Any, ...] = ("zzz", -1, 2.5, True, None, [], {}, {"zzz": 1}, ["zzz"])

MISFITS: dict[str, tuple[Any, ...]] = {
    "kind": MERGE_METHODS.names(),
    "mode": ("choice", "generate", "interview"),
    "conventions": get_args(Conventions),
    "elect": ("mass",),
    "step": (0, 0.0),
}
"""Values of the right type that may not fit what stands beside them."""


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(study_schema())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(study_schema())
    json.dumps(study_schema())


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def text_of(path: Path) -> dict[str, Any]:
    document, faults = read_document(path)
    assert document is not None, faults
    plain: dict[str, Any] = as_json(document.data)
    return plain


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_example_is_valid(path: Path) -> None:
    errors = [f"{each.json_path}: {each.message}" for each in validator().iter_errors(text_of(path))]
    assert not errors


def places(value: Any, where: Where = ()) -> Iterator[Where]:
    yield where
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from places(item, (*where, key))


def parent_of(data: Any, where: Where) -> Any:
    for step in where[:-1]:
        data = data[step]
    return data


def mutants(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each key deleted, each key misspelt, each value replaced by every wrong one."""
    for where in list(places(data))[1:]:
        for wrong in WRONG:
            mutant = deepcopy(data)
            parent_of(mutant, where)[where[-1]] = wrong
            yield f"{'.'.join(map(str, where))} = {wrong!r}", mutant
        deleted = deepcopy(data)
        del parent_of(deleted, where)[where[-1]]
        yield f"without {'.'.join(map(str, where))}", deleted
        if isinstance(where[-1], str):
            misspelt = deepcopy(data)
            around = parent_of(misspelt, where)
            around[where[-1] + "x"] = around.pop(where[-1])
            yield f"{'.'.join(map(str, where))}x", misspelt


def disagreement(path: Path, mutant: dict[str, Any]) -> str | None:
    valid = validator().is_valid(mutant)
    _, found = validate(Document(mutant, path))
    faults = [f"{each.code} {each.message}" for each in found if each.severity == "error"]
    if not valid and not faults:
        return "the schema refuses it, the reader does not"
    told = [each for each in found if told_by_both(each) and not ("arms" in mutant and told_late(each))]
    if valid and told and "defaults" not in mutant:
        return f"the reader refuses it, the schema does not: {told[0].message}"
    return None


def told_by_both(fault: Diagnostic) -> bool:
    return fault.code in TOLD_BY_BOTH or "a step of 0 goes nowhere" in fault.message


def disagreements(data: dict[str, Any], path: Path, count: int) -> dict[str, str]:
    """Mutants on which the two disagree, among about `count` that are spread evenly over all of them."""
    every = list(mutants(data))
    some = every[:: max(1, len(every) // count)]
    return {name: why for name, mutant in some if (why := disagreement(path, mutant))}


def misfits(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each value replaced by others that are right in other company."""
    for where in list(places(data))[1:]:
        for value in MISFITS.get(str(where[-1]), ()):
            mutant = deepcopy(data)
            parent_of(mutant, where)[where[-1]] = value
            yield f"{'.'.join(map(str, where))} = {value!r}", mutant


def told_late(fault: Diagnostic) -> bool:
    """With arms, what they leave of the study's keys is known only when they are laid over it.

    `train` is whole only then, any arm may use `sampling`, give a benchmark's `data` or have one that takes `traits`,
    and a key that each arm replaces is useless.
    """
    if fault.message in ("`data` is missing: `reply_contrast` needs it", "`traits` has no effect: no arm uses it"):
        return True
    if "every arm that uses it gives its own" in fault.message:
        return True
    return fault.path.split(".")[-1] == "sampling" or "train" in fault.path.split(".")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_schema_and_reader_agree_on_mutants_of_every_example(path: Path) -> None:
    data = text_of(path)
    assert not disagreements(data, path, 150)


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: text.split()[1])
def test_schema_and_reader_agree_on_mutants_of_studies_that_use_everything(text: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    (tmp_path / "words.json").write_text("{}")
    data = text_of(path)
    assert validator().is_valid(data)
    assert not has_errors(validate(Document(data, path))[1])
    assert not disagreements(data, path, 350)
    assert not {name: why for name, mutant in misfits(data) if (why := disagreement(path, mutant))}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_example_is_valid_in_greek(path: Path) -> None:
    assert validator().is_valid(in_greek(text_of(path)))


@pytest.mark.parametrize("method", ["{method: vector, alpha: 1}", "{method: npti, gamma: 1}"])
@pytest.mark.parametrize("arms", [False, True])
def test_what_is_needed_is_needed_in_either_spelling(method: str, arms: bool) -> None:
    study: dict[str, object] = {"study": "s", "model": "a/b", "traits": "all", "data": "a/b", "benchmarks": "mini-ipip"}
    own = safe_load(method)
    if own["method"] == "vector":
        study["train"] = {"method": "sft", "learning_rate": 1e-5, "epochs": 1}
    whole = {**study, "arms": {"one": own}} if arms else {**study, **own}
    assert validator().is_valid(whole)
    assert validator().is_valid(in_greek(whole))
    without = {"method": own["method"]}
    assert not validator().is_valid({**study, "arms": {"one": without}} if arms else {**study, **without})


def in_greek(value: Any) -> Any:
    """The same with the Greek spellings of keys."""
    if isinstance(value, list):
        return [in_greek(item) for item in value]
    if not isinstance(value, dict):
        return value
    greek = {latin: letter for letter, latin in LATIN.items()}
    return {greek.get(key, key): in_greek(item) for key, item in value.items()}
