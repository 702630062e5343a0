"""A preset where a mapping could stand: `train: big5-chat-sft-8b`, or `{preset: big5-chat-sft-8b, epochs: 2}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .apply import merged
from .axes import shown
from .faults import located, validated
from .scope import Preset, Scope, scope_of
from .spec import Spec

T = TypeVar("T")
PRESET = "preset"


@dataclass(frozen=True)
class PresetUse:
    """A preset, and the keys that the spec changes in it."""

    preset: Preset
    changes: dict[str, object]
    scope: Scope

    def read(self, reader: Callable[[Mapping[str, object]], T]) -> T:
        """What `reader` makes of the changed preset; the preset's own faults are reported at its own lines.

        Mappings are changed key by key, as presets of a `defaults` list are.
        """
        whole = merged(self.preset.data, self.changes)
        assert isinstance(whole, dict), "mappings merge to a mapping"
        return self.scope.reading(self.preset, lambda: reader(whole), self.changes)


def preset_in(
    value: object,
    group: str,
    about: Callable[[object], dict[str, Any]],
    scope: Scope,
    is_known: Callable[[str], bool] = lambda name: False,
) -> PresetUse | None:
    """The preset that a value names, by its name alone or under the key `preset`; None when it names none.

    A text that `is_known` otherwise, or is no preset, is left to the caller. Raises pydantic's error for a `preset:`
    that does not exist.
    """
    if isinstance(value, str) and not is_known(value):
        preset = scope.preset(group, value)
        return PresetUse(preset, {}, scope) if preset else None
    if not isinstance(value, Mapping) or PRESET not in value:
        return None
    name = value[PRESET]
    preset = scope.preset(group, name) if isinstance(name, str) else None
    if preset is None:
        named = {**about(name), "names": scope.names(group)}
        raise located("name_unknown", "unknown {noun} '{value}'", named, PRESET, name)
    return PresetUse(preset, {key: item for key, item in value.items() if key != PRESET}, scope)


class PresetOr:
    """Annotation: a mapping of one model, or the name of a preset for it."""

    def __init__(self, noun: str, group: str, model: type[Spec]) -> None:
        self.noun, self.group, self.model = noun, group, model

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read the mapping or the preset; the annotated type is for readers and mypy."""
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A mark that `schema.py` replaces by a name or the model."""
        return {"x-preset-or": self}

    def _read(self, value: object, info: core_schema.ValidationInfo) -> Spec:
        scope = scope_of(info.context)
        if isinstance(value, Spec):
            return value
        if use := preset_in(value, self.group, lambda name: self._about(name, scope), scope):
            return use.read(lambda whole: validated(self.model, whole, scope.context))
        if isinstance(value, str):
            raise PydanticCustomError("name_unknown", "unknown {noun} '{value}'", self._about(value, scope))
        if not isinstance(value, Mapping):
            raise PydanticCustomError("choice_type", "`{value}` is not a {noun}", self._about(value, scope))
        return validated(self.model, value, scope.context)

    def _about(self, value: object, scope: Scope) -> dict[str, Any]:
        return {"noun": self.noun, "value": shown(value), "names": scope.names(self.group), "group": self.group}
