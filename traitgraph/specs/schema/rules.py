"""Which keys a method needs and which have no effect, as conditions of JSON Schema.

The same rules as `usage.py`, as far as they can be told without reading other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from traitgraph.specs.checks.usage import ALWAYS, NEEDED
from traitgraph.specs.composition.arms import ARM_KEYS
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.method import Method
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.prompts import PROMPT_STYLES

Schema = dict[str, Any]
_NOT_NULL: Schema = {"not": {"type": "null"}}
DEFAULT_STYLE = "instruction"
TAKEN = ("traits", "data", "sampling")
"""Keys that benchmarks may use as well."""


def methods() -> Iterator[tuple[Schema, type[Method]]]:
    """What `method` looks like for each method and prompt style, and the model."""
    for name, method in METHODS.items():
        if name != "prompt":
            yield {"anyOf": [{"const": name}, _mapping({"kind": {"const": name}}, "kind")]}, method
    for style, prompt in PROMPT_STYLES.items():
        named = _mapping({"kind": {"const": "prompt"}, "style": {"const": style}}, "kind", "style")
        bare = _mapping({"kind": {"const": "prompt"}, "style": False}, "kind")
        yield {"anyOf": [named, bare, {"const": "prompt"}]} if style == DEFAULT_STYLE else named, prompt


def _mapping(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def is_method(shape: Schema) -> Schema:
    """The condition that a study or an arm has a method of this shape."""
    return {"properties": {"method": shape}, "required": ["method"]}


def _given(key: str) -> Schema:
    """The condition that a key stands there with a value."""
    return {"required": [key], "properties": {key: _NOT_NULL}}


def flat_rules() -> list[Schema]:
    """Rules for a study without arms."""
    rules: list[Schema] = [{"required": ["method", *NEEDED]}]
    for shape, method in methods():
        properties = _useless(method) | dict.fromkeys(method.needs, _NOT_NULL)
        rules.append({"if": is_method(shape), "then": {"required": list(method.needs), "properties": properties}})
        rules += [
            {"if": {**is_method(shape), "allOf": [_taken_by_none(key)]}, "then": {"properties": {key: False}}}
            for key in TAKEN
            if key not in method.uses
        ]
    return rules


def _useless(method: type[Method]) -> Schema:
    return {key: False for key in ARM_KEYS if key not in ALWAYS | method.uses and key not in TAKEN}


def _taken_by_none(key: str) -> Schema:
    """No benchmark uses this key of the arm, and there is no analysis that might."""
    names = [*questionnaire_names(), *LM_EVAL_TASKS, *BENCHMARKS.names()]
    if key == "sampling":
        drawing = [name for name, model in BENCHMARKS.items() if model.draws]
        idle = [name for name in names if name not in {*drawing, *questionnaire_names()}]
        return {"properties": {"benchmarks": _only_these(idle)}, "required": ["benchmarks"]}
    takers = [name for name, model in BENCHMARKS.items() if key in model.fills]
    given = _mapping({"kind": {"enum": takers}}, "kind", key)
    benchmarks = _only_these([name for name in names if name not in takers], given)
    return {"properties": {"benchmarks": benchmarks, "analyses": False}, "required": ["benchmarks"]}


def _only_these(kinds: list[str], *others: Schema) -> Schema:
    one = {"anyOf": [{"enum": kinds}, _mapping({"kind": {"enum": kinds}}, "kind"), *others]}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def arm_rules() -> list[Schema]:
    """Rules for a study with arms: needed keys stand in the study or in the arm, and every key has an arm to use it."""
    rules: list[Schema] = [_unless_shared(key, {"type": "object", "required": [key]}) for key in ("method", *NEEDED)]
    inherits = {"if": {"not": {"required": ["method"]}}}
    for shape, method in methods():
        needs = [key for key in method.needs if key not in NEEDED]
        for key in needs:
            rules.append(_unless_shared(key, {"if": is_method(shape), "then": _given(key)}))
        inherited = {**inherits, "then": {"properties": _useless(method)}}
        rules.append({"if": is_method(shape), "then": _each_arm(inherited)})
        rules += [
            _unless_shared(key, {**inherits, "then": {"required": [key]}}, also=is_method(shape)) for key in needs
        ]
    return rules + [_used_somewhere(key) for key in ARM_KEYS if key not in ALWAYS and key not in TAKEN]


def arm_conditions() -> list[Schema]:
    """Rules for one arm: keys that its own method does not use."""
    return [{"if": is_method(shape), "then": {"properties": _useless(method)}} for shape, method in methods()]


def _each_arm(rule: Schema) -> Schema:
    return {"properties": {"arms": {"additionalProperties": rule}}}


def _unless_shared(key: str, rule: Schema, also: Schema | None = None) -> Schema:
    condition: Schema = {"not": _given(key)}
    return {"if": {"allOf": [condition, also]} if also else condition, "then": _each_arm(rule)}


def _used_somewhere(key: str) -> Schema:
    """If the study has the key, some arm has a method that uses it, or takes its method from the study."""
    users = [is_method(shape) for shape, method in methods() if key in method.uses]
    uses = {"anyOf": [*users, {"not": {"required": ["method"]}}]}
    unused = {"properties": {"arms": {"additionalProperties": {"not": uses}}}}
    return {"if": {"required": [key]}, "then": {"not": unused}}
