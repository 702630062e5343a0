"""Quantities known between two ends, and a small table of accelerators: for prices. Nothing here changes a result."""

from __future__ import annotations

from dataclasses import dataclass
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
    digits = 1 - floor(log10(value)) if value else 0
    text = f"{round(value, digits):,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if digits > 0 else text


FORWARD, TRAIN, STREAM = Range(0.15, 0.55), Range(0.10, 0.45), Range(0.30, 0.80)


@dataclass(frozen=True)
class Device:
    """What one accelerator can do at best, and the share of it that programs like ours reach."""

    name: str
    tflops: float
    """Dense matrix products in bfloat16 (float32 on a CPU). [1e12 FLOP/s]"""
    bandwidth: float
    """Memory. [1e12 bytes/s]"""
    memory: float
    """[1e9 bytes]"""
    forward: Range = FORWARD
    """Share of `tflops` in a batched forward pass: short prompts reach the lower end."""
    train: Range = TRAIN
    """Share of `tflops` in training."""
    stream: Range = STREAM
    """Share of `bandwidth` while decoding."""


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        # Peak figures: NVIDIA's data sheets of each product, dense (without sparsity), SXM form where there are two.
        Device("v100", 125, 0.90, 32),
        Device("a10", 125, 0.60, 24),
        Device("l4", 121, 0.30, 24),
        Device("rtx4090", 165, 1.01, 24),
        Device("a6000", 155, 0.77, 48),
        Device("l40s", 362, 0.86, 48),
        Device("a100-40gb", 312, 1.56, 40),
        Device("a100", 312, 2.04, 80),
        Device("h100", 989, 3.35, 80),
        Device("h200", 989, 4.80, 141),
        Device("b200", 2250, 8.00, 180),
        # Measured on two cores of a server with a model of 135 M weights in float32: forward passes reach 0.1-0.2
        # TFLOP/s, LoRA training 0.05-0.06; more cores lie above. Decoding: 17 tokens/s alone, 80 in a batch of eight.
        Device("cpu", 0.2, 0.03, 16, forward=Range(0.4, 2.0), train=Range(0.2, 1.0), stream=Range(0.15, 0.6)),
    )
}

SMALL = 1e9
"""Models below this many weights are priced on a CPU unless a device is named."""


def device_for(name: str | None, parameters: float) -> Device:
    """The named device, or what a model of this size is most likely run on. Raises KeyError for an unknown name."""
    if name is not None:
        return DEVICES[name]
    return DEVICES["cpu" if parameters < SMALL else "a100"]
