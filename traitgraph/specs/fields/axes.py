"""Axes of numbers: one value, a list, or a range, all read as exact decimals.

value   0.5
list    [-1, 0, {from: 0.1, to: 2.0, step: 0.1}]
range   {from, to, step} counts exactly; {from, to, count} spaces evenly; {log: {from, to, count}} by equal factors
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from typing import Annotated, Any

from pydantic import Field
from pydantic_core import core_schema

from traitgraph.specs.source.hashing import number_text

from .base import FieldForm, Spec
from .pydantic_errors import each_read, fault, located, validated
from .wording import shown

LONGEST = 100_000
"""An axis with more values is a mistake (a step of 1e-9), not a study."""

DIGITS = 12
"""Significant digits of the values of a range by count, whose exact values may have no end (1/3)."""


_EXACT = Context(prec=700)
"""Room for all digits of any number that a spec may hold, and of the sum of two."""


class _Range(Spec):
    start: float = Field(alias="from", description="First value.")
    stop: float = Field(alias="to", description="Last value; it belongs to the range.")


class StepRange(_Range):
    """from, from + step, ..., to: the step must hit `to` exactly."""

    step: float = Field(
        description="Distance of two values; negative when `to` is the smaller one.",
        json_schema_extra={"not": {"const": 0}},  # what `_step_values` refuses
    )


class CountRange(_Range):
    """`count` evenly spaced values from `from` to `to`."""

    count: int = Field(ge=2, le=LONGEST, description="How many values, both ends included.")


class LogEnds(Spec):
    """`count` values from `from` to `to`, each the same multiple of the one before."""

    start: float = Field(alias="from", gt=0, description="First value.")
    stop: float = Field(alias="to", gt=0, description="Last value; it belongs to the range.")
    count: int = Field(ge=2, le=LONGEST, description="How many values, both ends included.")


class LogRange(Spec):
    """A range of equal factors."""

    log: LogEnds = Field(description="Ends and number of the values.")


RANGE_KEYS = ("from", "to", "step", "count", "log")
"""Keys of a range: no trait that has an axis of its own can be called so."""


def exact(number: object) -> Decimal:
    """A number as it was written: 0.1 is 0.1. Raises a fault for anything that is not a finite number.

    A text of YAML gives decimals; a float comes from elsewhere, and its shortest text is the decimal that was meant.
    """
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        raise fault("number_type", value=shown(number))
    value = number if isinstance(number, Decimal) else Decimal(repr(number))
    if not value.is_finite():
        raise fault("number_finite", value=shown(number))
    return plain(value)


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros, exponent or negative zero."""
    shortest = _EXACT.normalize(number)
    return _EXACT.quantize(shortest or Decimal(), Decimal(1)) if shortest == shortest.to_integral_value() else shortest


def values_of(value: object) -> tuple[Decimal, ...]:
    """The values of an axis in the order they are written.

    Raises pydantic's errors, located inside the axis, for a range that is wrong, an empty list or a value given twice.
    """
    if isinstance(value, list | tuple):
        return _of_list(value)
    if isinstance(value, Mapping):
        return _of_range(value)
    return (exact(value),)


def _of_list(items: list[object] | tuple[object, ...]) -> tuple[Decimal, ...]:
    if not items:
        raise fault("axis_empty")
    seen: dict[Decimal, None] = {}
    parts = each_read(items, lambda item: _of_range(item) if isinstance(item, Mapping) else (exact(item),))
    for place, value in ((place, value) for place, values in enumerate(parts) for value in values):
        if value in seen:
            raise located(place, value, "axis_twice", value=number_text(value))
        seen[value] = None
    return tuple(seen)


def _of_range(value: Mapping[str, object]) -> tuple[Decimal, ...]:
    if "log" in value:
        count, ends = validated(LogRange, value).log.count, value["log"]
        assert isinstance(ends, Mapping), "it has just been read as one"
        return _spaced(exact(ends["from"]), exact(ends["to"]), count, log=True)
    if "count" in value:
        count = validated(CountRange, value).count
        return _spaced(exact(value["from"]), exact(value["to"]), count)
    validated(StepRange, value)
    with localcontext(_EXACT):
        return _step_values(exact(value["from"]), exact(value["to"]), exact(value["step"]))


def _step_values(start: Decimal, stop: Decimal, step: Decimal) -> tuple[Decimal, ...]:
    if step == 0:
        raise located("step", step, "step_zero")
    if (stop - start) * step < 0:
        raise located("step", step, "step_away", step=number_text(step), stop=number_text(stop))
    if abs((stop - start) / step) >= LONGEST:
        raise located("step", step, "axis_long", longest=LONGEST)
    count, rest = divmod(stop - start, step)
    if rest:
        facts = {"start": start, "stop": stop, "step": step, "before": stop - rest, "after": stop - rest + step}
        told = {name: number_text(each) for name, each in facts.items()}
        raise located("step", step, "step_missed" if count else "step_past", count=int(count), **told)
    return tuple(plain(start + index * step) for index in range(int(count) + 1))


def _spaced(start: Decimal, stop: Decimal, count: int, *, log: bool = False) -> tuple[Decimal, ...]:
    """`count` values, the distance or the factor of neighbours always the same; both ends are as written."""
    if start == stop:
        raise located("to", stop, "ends_equal", value=number_text(start))
    with localcontext(prec=30 if log else 28):
        if log:
            factor = (stop / start).ln() / (count - 1)
            inner = [start * (factor * index).exp() for index in range(1, count - 1)]
        else:
            inner = [start + (stop - start) * index / (count - 1) for index in range(1, count - 1)]
    return (start, *(plain(Context(prec=DIGITS).plus(value)) for value in inner), stop)


def whole_numbers(value: object) -> tuple[int, ...]:
    """The values of an axis of whole numbers."""
    numbers = values_of(value)
    for number in numbers:
        if number != number.to_integral_value():
            raise fault("number_whole", value=number_text(number))
    return tuple(int(number) for number in numbers)


class NumberAxis(FieldForm):
    """Annotation of an axis: whatever is written becomes a tuple of exact values between `least` and `most`."""

    def __init__(
        self, values: Callable[[object], tuple[Any, ...]], item: str, least: int | None = None, most: int | None = None
    ) -> None:
        self.values, self.item, self.least, self.most = values, item, least, most

    def bounds(self) -> dict[str, int]:
        """The limits as JSON Schema writes them."""
        limits = {"minimum": self.least, "maximum": self.most}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[Any, ...]:
        """The values of the axis. Raises pydantic's errors."""
        values = self.values(value)
        for number in values:
            if self.least is not None and number < self.least:
                raise fault("number_small", value=number_text(number), limit=self.least)
            if self.most is not None and number > self.most:
                raise fault("number_large", value=number_text(number), limit=self.most)
        return values


Axis = Annotated[tuple[Decimal, ...], NumberAxis(values_of, "number")]
"""A number, a list of numbers and ranges, or a range."""

StrengthAxis = Annotated[tuple[Decimal, ...], NumberAxis(values_of, "number", least=0)]
"""The same without negative numbers: strengths."""

SeedAxis = Annotated[tuple[int, ...], NumberAxis(whole_numbers, "integer", least=0, most=2**32 - 1)]
"""The same for whole numbers from 0: seeds of training, of which numpy's takes 32 bits."""

LayerAxis = Annotated[tuple[int, ...], NumberAxis(whole_numbers, "integer", least=1)]
"""The same for whole numbers from 1: layers."""
