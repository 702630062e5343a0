"""The axis of alpha: one coefficient for all vectors, or, where several traits are composed, one for each trait."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from traitgraph.specs.fields.axes import NumberAxis, values_of
from traitgraph.specs.fields.pydantic_errors import again, located

from .traits import TRAITS, Trait


class PerTrait(tuple[Decimal, ...]):
    """No shared coefficient, but one axis for each trait."""

    axes: dict[Trait, tuple[Decimal, ...]]

    @classmethod
    def of(cls, axes: dict[Trait, tuple[Decimal, ...]]) -> PerTrait:
        """An empty shared axis that carries an axis for each trait."""
        alpha = cls()
        alpha.axes = axes
        return alpha


def alphas(value: object) -> tuple[Decimal, ...]:
    """The values of a shared axis, or `PerTrait` when a mapping names traits. Raises pydantic's errors."""
    if not isinstance(value, Mapping) or not set(value) & set(TRAITS):
        return values_of(value)
    faults: list[InitErrorDetails] = []
    axes: dict[Trait, tuple[Decimal, ...]] = {}
    for key, axis in value.items():
        try:
            axes[_trait(key)] = values_of(axis)
        except PydanticCustomError as problem:
            faults.append(InitErrorDetails(type=problem, loc=(key,), input=axis))
        except ValidationError as problems:
            faults += [
                again(fault, () if key not in TRAITS else (key,)) for fault in problems.errors(include_url=False)
            ]
    if faults:
        raise ValidationError.from_exception_data("alpha", faults)
    return PerTrait.of(axes)


def _trait(key: object) -> Trait:
    for trait in TRAITS:
        if key == trait:
            return trait
    raise located(str(key), key, "unknown_key", key=str(key), names=TRAITS)


class _Alpha:
    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(alphas)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-axis": NumberAxis(values_of, "number"), "x-per-trait": True}


AlphaAxis = Annotated[tuple[Decimal, ...], _Alpha()]
"""An axis of numbers, or a mapping from traits to such axes (method `compose`)."""
