"""A quantity that is only known between two ends."""

from __future__ import annotations

from math import exp, floor, hypot, log, log10, sqrt
from typing import NamedTuple


class Range(NamedTuple):
    """A lowest and a highest value of one positive quantity."""

    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Range:
        """A known value."""
        return cls(value, value)

    @property
    def middle(self) -> float:
        """The geometric mean of the ends: what is as far from one end as from the other, as a factor."""
        return sqrt(self.low * self.high)

    def plus(self, other: Range) -> Range:
        """The sum of two quantities that do not know of each other."""
        return Range(self.low + other.low, self.high + other.high)

    def times(self, other: Range | float) -> Range:
        """The product with a factor, or with another quantity that errs for reasons of its own.

        Independent errors seldom fall together: the widths, as factors, add like the sides of a right angle.
        """
        if not isinstance(other, Range):
            return Range(self.low * other, self.high * other)
        if min(self.low, other.low) <= 0:
            return Range(self.low * other.low, self.high * other.high)
        width = exp(hypot(self._width(), other._width()))
        middle = self.middle * other.middle
        return Range(middle / width, middle * width)

    def over(self, other: Range | float) -> Range:
        """The quotient; the divisor is above 0."""
        if not isinstance(other, Range):
            return self.times(1 / other)
        return self.times(Range(1 / other.high, 1 / other.low))

    def at_most(self, limit: float) -> Range:
        """The part of the range below a limit."""
        return Range(min(self.low, limit), min(self.high, limit))

    def _width(self) -> float:
        """Half the width as a logarithm: 0 for a known value."""
        return log(self.high / self.low) / 2


NOTHING = Range(0.0, 0.0)


def total(ranges: list[Range]) -> Range:
    """The sum of many."""
    return Range(sum(each.low for each in ranges), sum(each.high for each in ranges))


def span(quantity: Range) -> str:
    """A range for people, with two significant digits: '0.6-2.9', '20-110', '3'.

    >>> span(Range(0.61, 2.94)), span(Range(19.6, 114)), span(Range(3, 3))
    ('0.61-2.9', '20-110', '3')
    """
    low, high = _short(quantity.low), _short(quantity.high)
    return low if low == high else f"{low}-{high}"


def _short(value: float) -> str:
    if value == 0:
        return "0"
    digits = 1 - floor(log10(abs(value)))
    return (
        f"{round(value, digits):,.{max(0, digits)}f}".rstrip("0").rstrip(".")
        if digits > 0
        else f"{round(value, digits):,.0f}"
    )
