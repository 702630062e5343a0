"""Texts with placeholders in braces, such as 'You are a person with {level} {trait}.', checked when a spec is read."""

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator

CONDITION = ("trait", "Trait", "level")
"""What every text about a condition may hold; {Trait} is the trait with a capital, as at the head of a line."""


def checked(template: str, names: tuple[str, ...], needs: tuple[str, ...] = ()) -> str:
    """The template itself. Raises ValueError for a placeholder not among the names, or braces that do not match.

    One of the placeholders that it `needs` must be there: without it the text would be the same for every condition.
    """
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as problem:
        raise ValueError(f"the braces of this text do not match: {problem}; {{{{ and }}}} stand for braces") from None
    used = {
        f"{name}{'!' * bool(turned)}{turned or ''}{':' * bool(form)}{form}"
        for _, name, form, turned in pieces
        if name is not None
    }
    if wrong := sorted(used - set(names)):
        known = ", ".join("{" + name + "}" for name in names)
        raise ValueError(f"the text has no {{{wrong[0]}}}; it may hold {known}, and {{{{ and }}}} stand for braces")
    literal = "".join(text + "\0" * (name is not None) for text, name, _, _ in pieces)
    if needs and (not used & set(needs) or any("{" + name + "}" in literal for name in needs)):
        raise ValueError(f"the text must hold {' or '.join('{' + name + '}' for name in needs)}")
    return template


def placeholders(*names: str, needs: tuple[str, ...] = ()) -> AfterValidator:
    """Annotation of a text that may have these placeholders, and needs one of `needs`."""
    return AfterValidator(lambda template: checked(template, names, needs))


def filled(template: str, trait: str, level: str, **others: str) -> str:
    """A text about one condition.

    >>> filled("a person with {level} {trait}", "openness", "low")
    'a person with low openness'
    >>> filled("{Trait} - {level}", "openness", "low")
    'Openness - low'
    """
    return template.format(trait=trait, Trait=trait.capitalize(), level=level, **others)


ConditionText = Annotated[str, placeholders(*CONDITION)]
"""A text that may hold {trait}, {Trait} and {level}."""
