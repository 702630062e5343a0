"""Texts with places in braces, such as 'You are a person with {level} {trait}.', checked when a spec is read."""

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator

CONDITION = ("trait", "Trait", "level")
"""Places that every text about a condition may have; {Trait} is the trait with a capital, as at the head of a line."""


def checked(template: str, names: tuple[str, ...]) -> str:
    """The template itself. Raises ValueError for a place that is not among the names, or braces that do not match."""
    try:
        used = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as problem:
        raise ValueError(f"the braces of this text do not match: {problem}") from None
    if wrong := sorted(used - set(names)):
        known = ", ".join("{" + name + "}" for name in names)
        raise ValueError(f"the text has no {{{wrong[0]}}}; it may hold {known}")
    return template


def places(*names: str) -> AfterValidator:
    """Annotation of a text that may have these places."""
    return AfterValidator(lambda template: checked(template, names))


def filled(template: str, trait: str, level: str, **others: str) -> str:
    """A text about one condition.

    >>> filled("a person with {level} {trait}", "openness", "low")
    'a person with low openness'
    >>> filled("{Trait} - {level}", "openness", "low")
    'Openness - low'
    """
    return template.format(trait=trait, Trait=trait.capitalize(), level=level, **others)


ConditionText = Annotated[str, places(*CONDITION)]
"""A text that may hold {trait}, {Trait} and {level}."""
