"""Merge options from plain words, as functions and files give them: a method's name and its options by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from traitgraph.runtime.tensors.errors import MergeError
from traitgraph.specs.fields.registry import UnknownNameError
from traitgraph.specs.study.merge_methods import MERGE_METHODS, MergeMethod


def merge_options(method: str | MergeMethod, given: Mapping[str, Any]) -> MergeMethod:
    """The options of a method; entries of `given` that are None are absent.

    Raises MergeError for an unknown method, an option that the method does not have, and a value out of range, each
    with what there is.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if isinstance(method, MergeMethod):
        model, wanted = type(method), {**dict(method), **wanted}
    else:
        model = _model_of(method)
    fields, kind = model.model_fields, model.model_fields["kind"].default
    if unknown := [name for name in wanted if name not in fields]:
        known = ", ".join(name for name in fields if name != "kind")
        raise MergeError(f"{kind} has no option '{unknown[0]}'; it has: {known}")
    try:
        return model.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{step}: " for step in first["loc"])
        raise MergeError(f"{kind}: {place}{first['msg'].removeprefix('Value error, ')}") from error


def _model_of(name: str) -> type[MergeMethod]:
    try:
        return MERGE_METHODS.get(name)
    except UnknownNameError as error:
        raise MergeError(f"unknown merge method '{name}'; there are: {', '.join(error.names)}") from error
