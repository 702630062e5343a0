"""A text that is one of the names that the program knows, those of plugins included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .axes import shown


class KnownName:
    """Annotation of a text; `names` is asked when one is read, so that plugins are found late."""

    def __init__(self, noun: str, names: Callable[[], tuple[str, ...]]) -> None:
        self.noun, self.names = noun, names

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read a name; the annotated text is for readers and mypy."""
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, *_: object) -> dict[str, Any]:
        """One of the names."""
        return {"enum": list(self.names())}

    def _read(self, value: object) -> str:
        if isinstance(value, str) and value in self.names():
            return value
        about = {"noun": self.noun, "value": shown(value), "names": self.names()}
        raise PydanticCustomError("name_unknown", "unknown {noun} '{value}'", about)
