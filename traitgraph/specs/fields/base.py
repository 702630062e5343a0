"""What every value of the language is made of: a model, or a field whose text we read ourselves.

Knows pydantic; must not know YAML, positions or any particular field. Modules that only hold models do not postpone
their annotations (`from __future__ import annotations`): pydantic would read each of them twice, and every start would
take longer.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import CoreSchema, core_schema

FORM = "x-form"
"""Key of a `FieldForm` in pydantic's JSON Schema."""


class Spec(BaseModel):
    """A frozen value of the language that refuses unknown keys.

    Every field of a subclass carries a description with its unit: the JSON Schema, the language reference and the
    error hints are made from it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        ser_json_inf_nan="constants",
        use_attribute_docstrings=False,
        defer_build=True,
    )


class FieldForm:
    """Annotation of a field that we read ourselves; the annotated type is for readers and mypy.

    In pydantic's JSON Schema it leaves itself, which `schema/forms.py` replaces by all that may be written.
    """

    def read(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        """The value that was written as the study holds it. Raises pydantic's errors."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Validate by `read` alone."""
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: object) -> dict[str, Any]:
        """The annotation itself."""
        return {FORM: self}
