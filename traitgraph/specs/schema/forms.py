"""JSON Schema of the forms that a value may be written in: names, choices, references, axes.

pydantic makes the schema of each model; a field that we read ourselves left its annotation there, a `FieldForm`, which
is replaced here. Every model becomes one definition, plugins' included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import singledispatchmethod
from typing import Any, TypeVar

from traitgraph.specs.fields.axes import RANGE_KEYS, CountRange, LogRange, NumberAxis, StepRange
from traitgraph.specs.fields.base import FORM, Spec
from traitgraph.specs.fields.choice import Choice, Choices
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.references import NAME, PresetOr, Reference
from traitgraph.specs.study.benchmark_list import BenchmarkList, standing_for
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.contexts import ContextAxis, ContextFile, ContextText
from traitgraph.specs.study.traits import TraitAxis
from traitgraph.specs.study.vocabulary import BIG_FIVE

A = TypeVar("A")
Schema = dict[str, Any]
Member = tuple[str, type[Spec], tuple[str, ...]]
"""Name and model of a member of a choice, and the tags that a mapping must have to mean it."""

KEPT = ("title", "description", "default")
"""What a field says beside its form."""

CONDITIONS = ("if", "then", "else")
"""What a model says beside its keys."""


class Forms:
    """Builds schemas with a common table of definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._context = ReadContext()
        self._names: dict[int, str] = {}

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
        """The schema with every form of ours in place of its annotation."""
        if isinstance(schema, list):
            return [self.plain(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if FORM in schema:
            return {**{key: schema[key] for key in KEPT if key in schema}, **self.form(schema[FORM])}
        return {key: self.plain(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}

    @singledispatchmethod
    def form(self, annotation: object) -> Schema:
        """What may be written where this annotation of ours stands."""
        raise TypeError(f"no form of a value: {annotation!r}")

    def _once(self, annotation: A, noun: str, make: Callable[[A], Schema]) -> Schema:
        """A reference to the definition of a form, which is made when it is new."""
        if id(annotation) not in self._names:
            taken = [name for name in self.definitions if name == noun or name.startswith(f"{noun} ")]
            self._names[id(annotation)] = name = f"{noun} {len(taken) + 1}" if taken else noun
            self.definitions[name] = {}
            self.definitions[name] = make(annotation)
        return _reference_to(self._names[id(annotation)])

    # -- choices --

    @form.register
    def choice(self, choice: Choice) -> Schema:
        """A name that needs no parameters, a preset, or a mapping with the tag; one definition."""
        return self._once(choice, choice.registry.noun, self._union)

    def _union(self, choice: Choice) -> Schema:
        members = list(_members(choice))
        alone = [(name, each, choice.tag) for name, each in choice.registry.items() if name not in choice.variants]
        alone += [
            (name, each.registry.get(each.default), each.tag) for name, each in choice.variants.items() if each.default
        ]
        names = [name for name, member, tag in alone if self._needs_nothing(member, tag)]
        forms: list[Schema] = [{"enum": list(dict.fromkeys(names))}] if names else []
        forms += [self._tagged(member, tags) for _, member, tags in members]
        if choice.group:
            forms += self._presets(choice.group, [member for _, member, _ in members])
        return {"anyOf": forms}

    @form.register
    def choices(self, choices: Choices) -> Schema:
        """One of a choice, or a list."""
        return _one_or_many(self.choice(choices), at_least=0 if choices.may_be_empty else 1)

    def _needs_nothing(self, member: type[Spec], tag: str) -> bool:
        self.model(member)
        return not set(self.definitions[member.__name__].get("required", ())) - {tag, "kind"}

    def _tagged(self, member: type[Spec], tags: tuple[str, ...]) -> Schema:
        reference = self.model(member)
        return {"allOf": [reference, {"required": list(tags)}]} if tags else reference

    def partial(self, choice: Choice) -> Schema:
        """A mapping with some keys of any member: an arm that changes parts of the study's value."""
        members = [member for _, member, _ in _members(choice)]
        properties = {key: self._loose(value) for key, value in self._properties(*members).items()}
        properties[choice.tag] = {"enum": list(choice.registry.names())}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _loose(self, schema: Schema) -> Schema:
        """A nested mapping may give some of its keys as well."""
        forms = schema.get("anyOf", [schema])
        names = [form["$ref"].removeprefix("#/$defs/") for form in forms if "$ref" in form]
        parts = [self.definitions[name] for name in names if "properties" in self.definitions.get(name, {})]
        loose = [{key: part[key] for key in ("type", "properties", "additionalProperties")} for part in parts]
        return {"anyOf": [*forms, *loose]} if loose else schema

    def _presets(self, group: str, members: Iterable[type[Spec]], names: Iterable[str] = ()) -> list[Schema]:
        """A preset by its name, or changed in place; those beside the spec are not known here: any name may be one."""
        changed = self._properties(*members)
        loose = {key: True if key in ("kind", "method") else value for key, value in changed.items()}
        name = {
            "type": "string",
            "description": f"Preset of the group `{group}`.",
            "examples": list(names or self._context.names(group)),
        }
        mapping = {"type": "object", "properties": {**loose, "preset": name}, "required": ["preset"]}
        return [name, {**mapping, "additionalProperties": False}]

    def _properties(self, *models: type[Spec]) -> dict[str, Schema]:
        """The keys of all these models."""
        for model in models:
            self.model(model)
        each = (self.definitions[model.__name__].get("properties", {}) for model in models)
        return {key: value for properties in each for key, value in properties.items()}

    # -- references and presets --

    @form.register
    def reference(self, reference: Reference) -> Schema:
        """A name, id or path, or a mapping of one of the forms; one definition."""
        return self._once(reference, reference.noun, self._named)

    def _named(self, reference: Reference) -> Schema:
        forms = [*self._presets(reference.group, reference.forms), *map(self.model, reference.forms)]
        return _one_or_many({"anyOf": forms}) if reference.many else {"anyOf": forms}

    @form.register
    def preset_or(self, either: PresetOr) -> Schema:
        """A preset, or the mapping itself."""
        return {
            "anyOf": [
                self.model(either.model),
                *self._presets(either.group, [either.model], either.names(self._context)),
            ]
        }

    # -- benchmarks --

    @form.register
    def benchmarks(self, listed: BenchmarkList) -> Schema:
        """A list of names and mappings; names beside the spec are not known here, so any name may be one."""
        members = list(_members(listed))
        known = [name for name, member, _ in members if self._needs_nothing(member, "kind")]
        name = {"type": "string", "examples": [*known, *questionnaire_names(), *LM_EVAL_TASKS]}
        one = {"anyOf": [name, *(self._tagged(member, tags) for _, member, tags in members), self._standing(members)]}
        return _one_or_many(one, at_least=0)

    def _standing(self, members: Iterable[Member]) -> Schema:
        """A mapping whose kind is a questionnaire, a task or a preset, with the keys of any benchmark."""
        names = [*questionnaire_names(), *LM_EVAL_TASKS]
        kind = {"type": "string", "not": {"enum": [name for name, _, _ in members]}, "examples": names}
        return {
            "type": "object",
            "properties": {**self._properties(*(member for _, member, _ in members)), "kind": kind},
            "required": ["kind"],
            "additionalProperties": False,
            "allOf": [self._standing_for(name) for name in names],
        }

    def _standing_for(self, name: str) -> Schema:
        """What the name of a questionnaire or task allows beside it: keys and conditions of what it stands for."""
        whole = standing_for(name)
        assert whole is not None, "listed names stand for something"
        model = BENCHMARKS.get(str(whole["kind"]))
        allowed = {"propertyNames": {"enum": list(self._properties(model))}}
        conditions = {key: value for key, value in self.definitions[model.__name__].items() if key in CONDITIONS}
        return {"if": {"properties": {"kind": {"const": name}}}, "then": {**allowed, **conditions}}

    # -- axes --

    @form.register
    def axis(self, axis: NumberAxis) -> Schema:
        """A number, a list of numbers and ranges, or a range; one definition for all with the same bounds."""
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
        return _reference_to(name)

    @form.register
    def contexts(self, axis: ContextAxis) -> Schema:
        """A mapping from names to contexts, or a file of them."""
        names: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
        text = {"allOf": [self.model(ContextText), {"minProperties": 1}]}
        name = {"pattern": f"^{NAME}$", "not": {"const": "path"}}
        named = {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, text, names]}}
        return {"anyOf": [self.model(ContextFile), {**named, "propertyNames": name, "minProperties": 1}]}

    @form.register
    def trait_axis(self, axis: TraitAxis) -> Schema:
        """An axis, or one for each trait, whatever traits there are."""
        one = self.axis(axis)
        each = {"type": "object", "properties": dict.fromkeys(BIG_FIVE.traits, one), "additionalProperties": one}
        return {"anyOf": [one, {**each, "minProperties": 1, "propertyNames": {"not": {"enum": list(RANGE_KEYS)}}}]}


def _members(choice: Choice, outer: tuple[str, ...] = ()) -> Iterable[Member]:
    for name, member in choice.registry.items():
        if name in choice.variants:
            yield from _members(choice.variants[name], (*outer, choice.tag))
        else:
            yield name, member, outer if name == choice.default else (*outer, choice.tag)


def _one_or_many(one: Schema, at_least: int = 1) -> Schema:
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": at_least}]}


def _reference_to(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}
