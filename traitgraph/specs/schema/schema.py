"""The JSON Schema (draft 2020-12) of a spec file, for editors and for other programs.

Made from the same models that read a spec, plugins included, so both agree on what is allowed. Only rules that need
another file (presets beside the spec, paths) or arithmetic (a step that misses its end) are left to `traitgraph check`.
A spec with a `defaults:` list may leave out what its presets give. Which keys a method needs and which have no effect,
as `usage.py` says, stands in conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitgraph.specs.checks.usage import ALWAYS, NEEDED
from traitgraph.specs.composition.arms import ARM_KEYS, ARM_NAME
from traitgraph.specs.fields.axes import RANGE_KEYS
from traitgraph.specs.source.positions import LATIN
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.filters import FILTER_KEYS
from traitgraph.specs.study.method import Method
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.prompts import PROMPT_STYLES
from traitgraph.specs.study.study import HEAD, Arm, Study
from traitgraph.specs.study.training import TRAINING_CHOICE
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .forms import Forms, Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "traitgraph.schema.json"
"""Name under which `traitgraph init` puts the JSON Schema beside the spec."""


def starter_spec(name: str) -> str:
    """The spec that `traitgraph init` writes: small, complete, with a comment on every choice, checked by editors.

    It names only what every machine has: the bundled model, a questionnaire of the public domain, prompts. So it runs
    as it stands; what to add for training is in comments.
    """
    return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8").replace("NAME", name)


def study_schema() -> Schema:
    """The schema of a spec file. Takes about a second: it builds every model of the language."""
    forms = Forms()
    forms.model(Arm)
    forms.model(Study)
    keys = {key: forms.definitions["Arm"]["properties"][key] for key in ARM_KEYS}
    head = {key: forms.definitions["Study"]["properties"][key] for key in HEAD}
    for name in ("Arm", "Study"):
        del forms.definitions[name]
    filters = {
        key: {"type": "array", "items": forms.model(model), "description": about}
        for key, (model, about) in FILTER_KEYS.items()
    }
    train = {"anyOf": [keys["train"], forms.partial(TRAINING_CHOICE)], "description": keys["train"]["description"]}
    loose = {**keys, "train": train}  # an arm may change single values of the training
    whole = {
        "$schema": DIALECT,
        "title": "traitgraph study",
        "description": Study.__doc__,
        "type": "object",
        "properties": {**head, **loose, **filters, **_arms(loose), **_composition()},
        "required": ["study"],
        "additionalProperties": False,
        "if": {"required": ["defaults"]},
        "else": {
            "if": {"required": ["arms"]},
            "then": {"allOf": list(_arm_rules())},
            "else": {"properties": {key: keys[key] for key in ("train", "sampling")}, "allOf": list(_flat_rules())},
        },
        "allOf": [_default_words()],
        "$defs": forms.definitions,
    }
    greek: Schema = _with_greek(whole)
    return greek


def _default_words() -> Schema:
    """Without a `vocabulary` the words are those of the default; with one only the reader knows them."""
    traits, levels = list(BIG_FIVE.complete.traits), list(BIG_FIVE.levels)
    words = {"traits": _words_of(traits), "levels": _words_of(levels)}
    one_each = {"type": "object", "propertyNames": {"enum": [*traits, *RANGE_KEYS]}}
    combination = {"propertyNames": {"enum": traits}, "additionalProperties": {"enum": levels}}
    combined = _mapping({"combinations": {"anyOf": [{"type": "string"}, {"type": "array", "items": combination}]}})
    words |= {
        "alpha": {"anyOf": [{"not": {"type": "object"}}, one_each]},
        "method": {"anyOf": [{"not": {"type": "object"}}, combined]},
    }
    elsewhere: Schema = {"anyOf": [{"required": ["vocabulary"]}, {"required": ["defaults"]}]}
    in_no_arm = {"additionalProperties": {"not": {"required": ["vocabulary"]}}}
    return {
        "if": {"not": elsewhere, "properties": {"arms": in_no_arm}},
        "then": {"properties": {**words, "arms": {"additionalProperties": {"properties": words}}}},
    }


def _words_of(words: list[str]) -> Schema:
    return {"anyOf": [{"enum": ["all", *words]}, {"type": "array", "items": {"enum": words}}]}


def _arms(keys: dict[str, Schema]) -> dict[str, Schema]:
    useless = [{"if": has_method, "then": {"properties": _useless(method)}} for has_method, method in _methods()]
    arm = {"type": ["object", "null"], "properties": keys, "additionalProperties": False, "allOf": useless}
    about = "Named blocks that override the study's keys; a study without arms is one arm."
    named = {"type": "object", "propertyNames": {"pattern": ARM_NAME.pattern}, "minProperties": 1, "description": about}
    return {"arms": {**named, "additionalProperties": arm}}


def _composition() -> dict[str, Schema]:
    about = "Presets that the spec is built on: `- group: name`, and `- _self_` where its own values come in."
    return {
        "defaults": {"type": "array", "items": {"type": ["string", "object"]}, "description": about},
        "hydra": {"type": "object", "description": "Settings for Hydra, when the spec is run by a Hydra application."},
    }


def _with_greek(schema: Any) -> Any:
    """The schema with the Greek spellings of keys wherever it speaks of the Latin ones."""
    if isinstance(schema, list):
        return [_with_greek(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    same = {key: _with_greek(value) for key, value in schema.items()}
    for greek, latin in LATIN.items():
        properties, required = same.get("properties"), same.get("required")
        if isinstance(properties, dict) and isinstance(properties.get(latin), dict | bool):
            same["properties"] = {**properties, greek: properties[latin]}
        if isinstance(required, list) and latin in required:
            either = {"anyOf": [{"required": [latin]}, {"required": [greek]}]}
            same["required"] = [key for key in required if key != latin]
            same["allOf"] = [*same.get("allOf", ()), either]
    return same


# -- which keys a method needs and which have no effect --

_NOT_NULL: Schema = {"not": {"type": "null"}}
DEFAULT_STYLE = "instruction"
TAKEN = ("traits", "data", "sampling")
"""Keys that benchmarks may use as well."""


def _methods() -> Iterator[tuple[Schema, type[Method]]]:
    """The condition that a study or an arm has a method, for each method and prompt style, and the model."""
    for name, method in METHODS.items():
        if name != "prompt":
            yield _has_method({"anyOf": [{"const": name}, _mapping({"kind": {"const": name}}, "kind")]}), method
    for style, prompt in PROMPT_STYLES.items():
        named = _mapping({"kind": {"const": "prompt"}, "style": {"const": style}}, "kind", "style")
        bare = _mapping({"kind": {"const": "prompt"}, "style": False}, "kind")
        yield _has_method({"anyOf": [named, bare, {"const": "prompt"}]} if style == DEFAULT_STYLE else named), prompt


def _has_method(shape: Schema) -> Schema:
    return {"properties": {"method": shape}, "required": ["method"]}


def _mapping(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _given(key: str) -> Schema:
    """The condition that a key stands there with a value."""
    return {"required": [key], "properties": {key: _NOT_NULL}}


def _flat_rules() -> Iterator[Schema]:
    """Rules for a study without arms."""
    yield {"required": ["method", *NEEDED]}
    for has_method, method in _methods():
        properties = _useless(method) | dict.fromkeys(method.needs, _NOT_NULL)
        yield {"if": has_method, "then": {"required": list(method.needs), "properties": properties}}
        for key in TAKEN:
            if key not in method.uses:
                yield {"if": {**has_method, "allOf": [_taken_by_none(key)]}, "then": {"properties": {key: False}}}


def _useless(method: type[Method]) -> Schema:
    return {key: False for key in ARM_KEYS if key not in ALWAYS | method.uses and key not in TAKEN}


def _taken_by_none(key: str) -> Schema:
    """No benchmark uses this key of the arm, and there is no analysis that might."""
    names = [*questionnaire_names(), *LM_EVAL_TASKS, *BENCHMARKS.names()]
    if key == "sampling":
        drawing = {*questionnaire_names(), *(name for name, model in BENCHMARKS.items() if model.draws)}
        idle = [name for name in names if name not in drawing]
        return {"properties": {"benchmarks": _only_these(idle)}, "required": ["benchmarks"]}
    takers = [name for name, model in BENCHMARKS.items() if key in model.fills]
    given = _mapping({"kind": {"enum": takers}}, "kind", key)
    benchmarks = _only_these([name for name in names if name not in takers], given)
    return {"properties": {"benchmarks": benchmarks, "analyses": False}, "required": ["benchmarks"]}


def _only_these(kinds: list[str], *others: Schema) -> Schema:
    one = {"anyOf": [{"enum": kinds}, _mapping({"kind": {"enum": kinds}}, "kind"), *others]}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _arm_rules() -> Iterator[Schema]:
    """Rules for a study with arms: needed keys stand in the study or in the arm, and every key has an arm to use it."""
    for key in ("method", *NEEDED):
        yield _unless_shared(key, {"type": "object", "required": [key]})
    inherits = {"if": {"not": {"required": ["method"]}}}
    for has_method, method in _methods():
        needs = [key for key in method.needs if key not in NEEDED]
        for key in needs:
            yield _unless_shared(key, {"if": has_method, "then": _given(key)})
        yield {"if": has_method, "then": _each_arm({**inherits, "then": {"properties": _useless(method)}})}
        for key in needs:
            yield _unless_shared(key, {**inherits, "then": {"required": [key]}}, also=has_method)
    for key in ARM_KEYS:
        if key not in ALWAYS and key not in TAKEN:  # some arm has a method that uses it, or that of the study
            users = [has_method for has_method, method in _methods() if key in method.uses]
            uses = {"anyOf": [*users, {"not": {"required": ["method"]}}]}
            yield {"if": {"required": [key]}, "then": {"not": _each_arm({"not": uses})}}


def _each_arm(rule: Schema) -> Schema:
    return {"properties": {"arms": {"additionalProperties": rule}}}


def _unless_shared(key: str, rule: Schema, also: Schema | None = None) -> Schema:
    condition: Schema = {"not": _given(key)}
    return {"if": {"allOf": [condition, also]} if also else condition, "then": _each_arm(rule)}
