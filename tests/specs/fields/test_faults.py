"""No fault that pydantic can find reaches the user in pydantic's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ErrorType

from traitgraph.specs.checks.validate import validate
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import diagnose, each_read, validated
from traitgraph.specs.fields.wording import WORDINGS
from traitgraph.specs.schema.forms import Forms
from traitgraph.specs.source.codes import CODES
from traitgraph.specs.source.diagnostics import render_text
from traitgraph.specs.source.positions import Document
from traitgraph.specs.study.study import Arm, Study

SPECS_FOLDER = Path(__file__).parents[3] / "traitgraph" / "specs"

RAISED_BY: dict[str, set[str]] = {
    "any": set(),
    "str": {"string_type"},
    "int": {"int_type"},
    "float": {"float_type", "finite_number"},
    "bool": {"bool_type"},
    "literal": {"literal_error"},
    "tuple": {"tuple_type"},
    "dict": {"dict_type"},
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden"},
    "nullable": set(),
    "default": set(),
    "definitions": set(),
    "definition-ref": set(),
    "no-info": set(),
    "with-info": set(),
    "function-plain": set(),
    "function-after": {"value_error"},
    "function-before": {"zip_flat"},
    "function-wrap": {"value_error"},
    "model-field": set(),
    "union": set(),
    "decimal": set(),
    "path": set(),
}
"""Type of a core schema -> the faults it can find when it reads strictly."""

BY_CONSTRAINT = {
    "gt": "greater_than", "ge": "greater_than_equal", "lt": "less_than", "le": "less_than_equal",
    "pattern": "string_pattern_mismatch",
}  # fmt: skip

FILLED_IN_BY_US = {"alpha_of", "excluded", "included", "rules", "file", "arms"}
"""Fields that a user never writes."""

SKIPPED = FILLED_IN_BY_US | {"metadata", "cls", "config"}


def schemas(model: type[Spec]) -> Iterator[Mapping[str, Any]]:
    """Every core schema inside a model's."""
    model.model_rebuild()
    pending: list[Any] = [model.__pydantic_core_schema__]
    while pending:
        item = pending.pop()
        if isinstance(item, list | tuple):
            pending += item
        elif isinstance(item, dict):
            pending += [
                value for key, value in item.items() if key not in FILLED_IN_BY_US | {"metadata", "cls", "config"}
            ]
            if isinstance(item.get("type"), str):
                yield item


def models() -> list[type[Spec]]:
    """Every model of the language, as the JSON Schema collects them."""
    forms = Forms()
    forms.model(Study)
    forms.model(Arm)
    found = {model.__name__: model for model in subclasses(Spec)}
    return [found[name] for name in forms.definitions if name in found]


def subclasses(model: type[BaseModel]) -> Iterator[type[Any]]:
    for each in model.__subclasses__():
        yield each
        yield from subclasses(each)


def raised(schema: Mapping[str, Any]) -> set[str]:
    kind = schema["type"]
    faults = set(RAISED_BY[kind]) | {fault for key, fault in BY_CONSTRAINT.items() if key in schema}
    if "min_length" in schema:
        faults.add("string_too_short" if kind == "str" else "too_short")
    if "max_length" in schema:
        faults.add("string_too_long" if kind == "str" else "too_long")
    return faults


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_fault_that_a_model_can_find_has_our_words(model: type[Spec]) -> None:
    ours = {"missing": "missing_key", "extra_forbidden": "unknown_key"}
    faults = {ours.get(fault, fault) for schema in schemas(model) for fault in raised(schema)}
    assert faults <= set(WORDINGS)


def test_the_table_names_only_faults_of_pydantic_and_of_ours() -> None:
    of_pydantic = set(get_args(ErrorType))
    of_ours = {name for name in WORDINGS if name not in of_pydantic}
    sources = "".join(path.read_text() for path in SPECS_FOLDER.rglob("*.py") if path.name != "wording.py")
    assert not {name for name in of_ours if f'"{name}"' not in sources}


def test_every_wording_has_a_code_that_is_explained() -> None:
    assert {wording.code for name, wording in WORDINGS.items() if name != "reported"} <= set(CODES)


KNOWN = """
    study model traits levels data method train merge alpha gamma onto prompt seeds benchmarks analyses sampling
    zip arms include exclude when cluster tracking description kind style from to step count log path id package
    preset name vector compose direct steer npti prompt sft dpo all high low openness neuroticism mini-ipip gsm8k
    reply_contrast lm_eval questionnaire mode interview judge url learning_rate epochs steps lora rank generate expert
    combine sum if only wandb project task_arithmetic ties density smollm2-135m a/b ./x rows.jsonl
"""
WORDS = st.sampled_from(KNOWN.split())
SCALARS = st.one_of(WORDS, st.text(max_size=8), st.integers(-9, 9), st.floats(), st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=20,
)


@settings(max_examples=400)
@given(st.dictionaries(WORDS, VALUES, max_size=12))
def test_no_data_make_the_reader_fail_or_speak_pydantic(data: dict[str, object]) -> None:
    _, found = validate(Document(data, Path("/nowhere/spec.yaml")))
    said = render_text(found)
    assert not any(word in said for word in ("Input should", "Value error", "validation error", "pydantic"))
    assert found, "random data are no study"


def _refuse(value: int) -> int:
    raise PydanticCustomError("kind_of_a_package", "it is {colour}", {"colour": "{red}"})


class _OfAPackage(Spec):
    number: Annotated[int, AfterValidator(_refuse)]


def test_a_fault_of_a_package_that_the_table_lacks_is_told_by_its_own_sentence() -> None:
    items = [{"number": 1}]
    with pytest.raises(ValidationError) as caught:
        each_read(items, lambda item: validated(_OfAPackage, {"number": 1}))
    (fault,) = diagnose(caught.value, items, None)
    assert (fault.code, fault.path, fault.message) == ("TG104", "0.number", "it is {red}, and not `1`")
