"""JSON Schema of the forms that a value may be written in: names, choices, references, axes.

pydantic makes the schema of each model; where a field of ours has more forms than pydantic knows, the field left a mark
(`x-choice`, `x-axis`, ...), which is replaced here. Every model becomes one definition, plugins' included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from traitgraph.specs.fields.axes import CountRange, LogRange, NumberAxis, StepRange
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.references import PresetOr, Reference
from traitgraph.specs.study.benchmark_list import BenchmarkList, standing_for
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.traits import TRAITS

Schema = dict[str, Any]

KEPT = ("title", "description", "default")
"""What a field says beside its mark."""

CONDITIONS = ("if", "then", "else")
"""What a model says beside its keys."""


def one_or_many(one: Schema, at_least: int = 1) -> Schema:
    """A value alone, or a list of them."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": at_least}]}


class Forms:
    """Builds schemas with a common table of definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._context = ReadContext()
        self._named: dict[int, str] = {}

    def model(self, model: type[Spec]) -> Schema:
        """A reference to the definition of a model, which is added when it is new."""
        name = model.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # models may hold each other
            schema = model.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
            for inner, definition in schema.pop("$defs", {}).items():
                if inner not in self.definitions:
                    self.definitions[inner] = self.plain(definition)
            self.definitions[name] = self.plain(schema)
        return {"$ref": f"#/$defs/{name}"}

    def plain(self, schema: Any) -> Any:
        """The schema with every mark replaced."""
        if isinstance(schema, list):
            return [self.plain(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        said = {key: schema[key] for key in KEPT if key in schema}
        if "x-choice" in schema:
            choice = schema["x-choice"]
            one = self._once(choice, choice.registry.noun, lambda: self.choice(choice))
            many = one_or_many(one, at_least=0 if schema.get("x-empty") else 1)
            return {**said, **(many if schema.get("x-many") else one)}
        if "x-reference" in schema:
            reference = schema["x-reference"]
            return {**said, **self._once(reference, reference.noun, lambda: self.reference(reference))}
        if "x-benchmarks" in schema:
            return {**said, **self.benchmarks(schema["x-benchmarks"])}
        if "x-preset-or" in schema:
            return {**said, **self.preset_or(schema["x-preset-or"])}
        if "x-axis" in schema:
            axis = self.axis(schema["x-axis"])
            return {**said, **(self._per_trait(axis) if schema.get("x-per-trait") else axis)}
        return {key: self.plain(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}

    def _once(self, mark: object, noun: str, make: Callable[[], Schema]) -> Schema:
        """A reference to the definition of a form, which is made when it is new."""
        if id(mark) not in self._named:
            taken = [name for name in self.definitions if name == noun or name.startswith(f"{noun} ")]
            self._named[id(mark)] = name = f"{noun} {len(taken) + 1}" if taken else noun
            self.definitions[name] = {}
            self.definitions[name] = make()
        return {"$ref": f"#/$defs/{self._named[id(mark)].replace(' ', '%20')}"}

    # -- choices --

    def choice(self, choice: Choice) -> Schema:
        """A name that needs no parameters, a preset, or a mapping with the tag."""
        members = list(self._members(choice, ()))
        plain = [(name, member) for name, member in choice.registry.items() if name not in choice.variants]
        names = [name for name, member in plain if self._needs_nothing(member, choice.tag)]
        names += [name for name, inner in choice.variants.items() if self._bare(inner)]
        forms: list[Schema] = [{"enum": list(dict.fromkeys(names))}] if names else []
        forms += [self._tagged(member, keys) for _, member, keys in members]
        if choice.group:
            forms += self._presets(choice.group, [member for _, member, _ in members])
        return {"anyOf": forms}

    def _members(self, choice: Choice, outer: tuple[str, ...]) -> Iterable[tuple[str, type[Spec], tuple[str, ...]]]:
        """Name, model, and the tags that a mapping must have to mean it."""
        for name, member in choice.registry.items():
            if name in choice.variants:
                yield from self._members(choice.variants[name], (*outer, choice.tag))
            else:
                yield name, member, outer if name == choice.default else (*outer, choice.tag)

    def _bare(self, choice: Choice) -> bool:
        return choice.default is not None and self._needs_nothing(choice.registry.get(choice.default), choice.tag)

    def _needs_nothing(self, member: type[Spec], tag: str) -> bool:
        self.model(member)
        return not set(self.definitions[member.__name__].get("required", ())) - {tag, "kind"}

    def _tagged(self, member: type[Spec], keys: tuple[str, ...]) -> Schema:
        reference = self.model(member)
        return {"allOf": [reference, {"required": list(keys)}]} if keys else reference

    def partial(self, choice: Choice) -> Schema:
        """A mapping with some keys of any member: an arm that changes parts of the study's value."""
        members = [member for _, member, _ in self._members(choice, ())]
        properties = {key: self._loose(value) for member in members for key, value in self._properties(member).items()}
        properties[choice.tag] = {"enum": list(choice.registry.names())}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _loose(self, schema: Schema) -> Schema:
        """A nested mapping may give some of its keys as well."""
        forms = schema.get("anyOf", [schema])
        names = [form["$ref"].removeprefix("#/$defs/") for form in forms if "$ref" in form]
        parts = [self.definitions[name] for name in names if "properties" in self.definitions.get(name, {})]
        loose = [{key: part[key] for key in ("type", "properties", "additionalProperties")} for part in parts]
        return {"anyOf": [*forms, *loose]} if loose else schema

    def _presets(self, group: str, members: Iterable[type[Spec]]) -> list[Schema]:
        """A preset by its name, or changed in place; those beside the spec are not known here: any name may be one."""
        changed = {key: value for member in members for key, value in self._properties(member).items()}
        loose = {key: True if key in ("kind", "method") else value for key, value in changed.items()}
        name = {
            "type": "string",
            "description": f"Preset of the group `{group}`.",
            "examples": list(self._context.names(group)),
        }
        mapping = {"type": "object", "properties": {**loose, "preset": name}, "required": ["preset"]}
        return [name, {**mapping, "additionalProperties": False}]

    def _properties(self, model: type[Spec]) -> dict[str, Schema]:
        self.model(model)
        properties: dict[str, Schema] = self.definitions[model.__name__].get("properties", {})
        return properties

    # -- references and presets --

    def reference(self, reference: Reference) -> Schema:
        """A name, id or path, or a mapping of one of the forms."""
        forms = [*self._presets(reference.group, reference.forms), *map(self.model, reference.forms)]
        return one_or_many({"anyOf": forms}) if reference.many else {"anyOf": forms}

    def preset_or(self, either: PresetOr) -> Schema:
        """A preset, or the mapping itself."""
        return {"anyOf": [self.model(either.model), *self._presets(either.group, [either.model])]}

    # -- benchmarks --

    def benchmarks(self, listed: BenchmarkList) -> Schema:
        """A list of names and mappings; names beside the spec are not known here, so any name may be one."""
        members = list(self._members(listed, ()))
        known = [name for name, member, _ in members if self._needs_nothing(member, "kind")]
        names = [*known, *questionnaire_names(), *LM_EVAL_TASKS]
        name = {"type": "string", "examples": names}
        one = {"anyOf": [name, *(self._tagged(member, keys) for _, member, keys in members), self._standing(members)]}
        return one_or_many(one, at_least=0)

    def _standing(self, members: Iterable[tuple[str, type[Spec], tuple[str, ...]]]) -> Schema:
        """A mapping whose kind is a questionnaire, a task or a preset, with the keys of any benchmark."""
        kinds = [name for name, _, _ in members]
        loose = {key: value for _, member, _ in members for key, value in self._properties(member).items()}
        kind = {"type": "string", "not": {"enum": kinds}, "examples": [*questionnaire_names(), *LM_EVAL_TASKS]}
        properties = {**loose, "kind": kind}
        of_kind = [self._standing_of(name, kinds) for name in (*questionnaire_names(), *LM_EVAL_TASKS)]
        whole = {"type": "object", "properties": properties, "required": ["kind"], "additionalProperties": False}
        return {**whole, "allOf": of_kind}

    def _standing_of(self, name: str, kinds: list[str]) -> Schema:
        """What the name of a questionnaire or task allows beside it: keys and conditions of what it stands for."""
        whole = standing_for(name)
        assert whole is not None, "listed names stand for something"
        model = BENCHMARKS.get(str(whole["kind"]))
        allowed = {"propertyNames": {"enum": list(self._properties(model))}}
        conditions = {key: value for key, value in self.definitions[model.__name__].items() if key in CONDITIONS}
        return {"if": {"properties": {"kind": {"const": name}}}, "then": {**allowed, **conditions}}

    # -- axes --

    def axis(self, axis: NumberAxis) -> Schema:
        """A number, a list of numbers and ranges, or a range."""
        bounds = axis.bounds()
        name = " ".join([axis.item, "axis", *(f"{limit}" for limit in bounds.values())])
        if name not in self.definitions:
            ranges = [self.model(model) for model in (StepRange, CountRange, LogRange)]
            if bounds:  # both ends of a range are values
                ends = {"properties": dict.fromkeys(("from", "to"), bounds)}
                ranges = [{"allOf": [each, ends]} for each in ranges]
            number: Schema = {"type": axis.item, **bounds}
            many = {"type": "array", "items": {"anyOf": [number, *ranges]}, "minItems": 1, "uniqueItems": True}
            self.definitions[name] = {"anyOf": [number, many, *ranges], "description": "Values of an axis."}
        return {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}

    def _per_trait(self, axis: Schema) -> Schema:
        each = {"type": "object", "properties": dict.fromkeys(TRAITS, axis), "additionalProperties": False}
        return {"anyOf": [axis, {**each, "minProperties": 1}]}
