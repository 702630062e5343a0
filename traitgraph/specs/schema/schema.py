"""The JSON Schema (draft 2020-12) of a spec file, for editors and for other programs.

Made from the same models that read a spec, plugins included, so both agree on what is allowed. Only rules that need
another file (presets beside the spec, paths) or arithmetic (a step that misses its end) are left to `traitgraph check`.
A spec with a `defaults:` list may leave out what its presets give.
"""

from __future__ import annotations

from typing import Any

from traitgraph.specs.composition.arms import ARM_KEYS, ARM_NAME
from traitgraph.specs.source.positions import LATIN
from traitgraph.specs.study.filters import Filter, When
from traitgraph.specs.study.study import Arm, Study
from traitgraph.specs.study.training import TRAINING_CHOICE

from .forms import Forms
from .rules import arm_conditions, arm_rules, flat_rules

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> Schema:
    """The schema of a spec file. Takes about a second: it builds every model of the language."""
    forms = Forms()
    forms.model(Arm)
    forms.model(Study)
    keys = {key: forms.definitions["Arm"]["properties"][key] for key in ARM_KEYS}
    head = {
        key: forms.definitions["Study"]["properties"][key] for key in ("study", "description", "cluster", "tracking")
    }
    for name in ("Arm", "Study"):
        del forms.definitions[name]
    train = {"anyOf": [keys["train"], forms.partial(TRAINING_CHOICE)], "description": keys["train"]["description"]}
    loose = {**keys, "train": train}  # an arm may change single values of the training
    whole = {
        "$schema": DIALECT,
        "title": "traitgraph study",
        "description": Study.__doc__,
        "type": "object",
        "properties": {**head, **loose, **_filters(forms), **_arms(loose), **_composition()},
        "required": ["study"],
        "additionalProperties": False,
        "if": {"required": ["defaults"]},
        "else": {
            "if": {"required": ["arms"]},
            "then": {"allOf": arm_rules()},
            "else": {"properties": {key: keys[key] for key in ("train", "sampling")}, "allOf": flat_rules()},
        },
        "$defs": forms.definitions,
    }
    greek: Schema = with_greek(whole)
    return greek


def _filters(forms: Forms) -> dict[str, Schema]:
    points, rules = ({"type": "array", "items": forms.model(model)} for model in (Filter, When))
    return {
        "include": {**points, "description": "Points beside the product of the axes."},
        "exclude": {**points, "description": "Points of the product that are left out."},
        "when": {**rules, "description": "Conditions on the points of the product."},
    }


def _arms(keys: dict[str, Schema]) -> dict[str, Schema]:
    arm = {"type": ["object", "null"], "properties": keys, "additionalProperties": False, "allOf": arm_conditions()}
    about = "Named blocks that override the study's keys; a study without arms is one arm."
    named = {"type": "object", "propertyNames": {"pattern": ARM_NAME.pattern}, "minProperties": 1, "description": about}
    return {"arms": {**named, "additionalProperties": arm}}


def _composition() -> dict[str, Schema]:
    about = "Presets that the spec is built on: `- group: name`, and `- _self_` where its own values come in."
    return {
        "defaults": {"type": "array", "items": {"type": ["string", "object"]}, "description": about},
        "hydra": {"type": "object", "description": "Settings for Hydra, when the spec is run by a Hydra application."},
    }


def with_greek(schema: Any) -> Any:
    """The schema with the Greek spellings of keys wherever it speaks of the Latin ones."""
    if isinstance(schema, list):
        return [with_greek(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    same = {key: with_greek(value) for key, value in schema.items()}
    for greek, latin in LATIN.items():
        properties, required = same.get("properties"), same.get("required")
        if isinstance(properties, dict) and isinstance(properties.get(latin), dict | bool):
            same["properties"] = {**properties, greek: properties[latin]}
        if isinstance(required, list) and latin in required:
            either = {"anyOf": [{"required": [latin]}, {"required": [greek]}]}
            same["required"] = [key for key in required if key != latin]
            same["allOf"] = [*same.get("allOf", ()), either]
    return same
