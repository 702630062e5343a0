"""Plain data as the models read them: lists become tuples, exact decimals become int or float.

A number without a fraction is whole however it is written (8.0 is 8, as in JSON Schema). A float keeps up to 15
significant digits exactly, and axes turn it back into the decimal that was written.
"""

from __future__ import annotations

from decimal import Decimal


def frozen(value: object) -> object:
    """A copy without lists and decimals; mappings stay dictionaries."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Decimal):
        return _number(value)
    return value


def _number(value: Decimal) -> int | float:
    if value.is_finite() and value == value.to_integral_value() and value.adjusted() < 16:
        return int(value)
    return float(value)
