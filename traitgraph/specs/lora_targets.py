"""Which modules get an adapter: a word for the usual ones, or a list of names of one's own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from .axes import shown
from .faults import each_read

WORDS = ("all-linear", "attention", "mlp")


class _Targets:
    """Annotation: one of the words, or a list of names, held in one order, for the order changes nothing."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
        return {"anyOf": [{"enum": list(WORDS)}, names]}

    def _read(self, value: object) -> str | tuple[str, ...]:
        if isinstance(value, list | tuple):
            if not value:
                raise PydanticKnownError("too_short", {"field_type": "List", "min_length": 1, "actual_length": 0})
            return tuple(sorted(set(each_read(value, _name))))
        if isinstance(value, str) and value in WORDS:
            return value
        about = {"noun": "target of adapters", "value": shown(value), "names": WORDS}
        raise PydanticCustomError("name_unknown", "unknown {noun} '{value}'", about)


def _name(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise PydanticCustomError("choice_type", "`{value}` is not a {noun}", {"noun": "module", "value": shown(value)})


Targets = Annotated[str | tuple[str, ...], _Targets()]
"""`all-linear`, `attention`, `mlp`, or names of modules such as [q_proj, v_proj]."""
