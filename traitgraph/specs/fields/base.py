"""The base of every model of the language: frozen, closed, and silent about where it was written.

Knows pydantic; must not know YAML, positions or any particular field. Modules that only hold models do not postpone
their annotations (`from __future__ import annotations`): pydantic would read each of them twice, and every start would
take longer.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


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
