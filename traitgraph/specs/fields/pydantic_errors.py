"""Faults found by pydantic, kept as pydantic's errors but told in the words of the language.

A validator of ours that reads a part of a spec by itself raises through `located` and `each_read`, so that every fault
ends in one list with its path. `validated` adds what a message needs and pydantic does not say: the names that a
mapping may have, and what a missing key is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError, ValidationError

from traitgraph.specs.source.diagnostics import near_names
from traitgraph.specs.source.library import NOT_PLAIN, beside, exists, from_folder, is_folder, is_plain

from .base import Spec

S = TypeVar("S", bound=Spec)

T = TypeVar("T")

Location = tuple[int | str, ...]


def located(kind: str, message: str, about: dict[str, Any], place: str | int, value: object) -> ValidationError:
    """A fault of ours at a place inside the value that is being validated."""
    fault = PydanticCustomError(kind, message, about)
    return ValidationError.from_exception_data("spec", [InitErrorDetails(type=fault, loc=(place,), input=value)])


def existing(path: str, folder: Path, key: str, file: str = "") -> Path:
    """The absolute path; `file`: it is one, which ends so. Raises pydantic's error, located at `key`, else."""
    found = from_folder(folder, path)
    if not is_plain(found):
        raise nothing_at(found, path, key)
    if file and is_folder(found):
        raise file_wanted(found, path, key, file)
    return found


def file_wanted(path: Path, written: str, key: str, suffix: str) -> ValidationError:
    """The fault of a folder in the place of a file, with those that it holds."""
    about = {"value": written, "names": beside(path / "-", suffix)}
    return located("file_wanted", "'{value}' is a folder", about, key, written)


def nothing_at(path: Path, written: str, key: str, suffix: str = "") -> ValidationError:
    """The fault of a path at which nothing is that can be read, with the names in its folder."""
    if exists(path):
        return located("path_odd", NOT_PLAIN, {"value": written}, key, written)
    about = {"value": written, "key": path.name, "names": beside(path, suffix)}
    return located("path_missing", "there is no file or folder '{value}'", about, key, written)


def each_read(items: Iterable[object], read: Callable[[object], T]) -> list[T]:
    """What `read` makes of each item. Raises ValidationError with the faults of all items, located by their index."""
    results: list[T] = []
    faults: list[InitErrorDetails] = []
    for place, item in enumerate(items):
        try:
            results.append(read(item))
        except PydanticCustomError as problem:
            faults.append(InitErrorDetails(type=problem, loc=(place,), input=item))
        except ValidationError as problems:
            faults += [again(fault, (place,)) for fault in problems.errors(include_url=False)]
    if faults:
        raise ValidationError.from_exception_data("list", faults)
    return results


def again(fault: ErrorDetails, before: Location = ()) -> InitErrorDetails:
    """A fault that was caught, to be raised again with `before` in front of its location."""
    about = fault.get("ctx", {})
    same = InitErrorDetails(type=fault["type"], loc=(*before, *fault["loc"]), input=fault["input"], ctx=about)
    try:
        PydanticKnownError(fault["type"], about)  # type: ignore[arg-type]  # KeyError says that the type is ours
    except KeyError:
        message = fault["msg"].replace("{", "{{")
        same["type"] = PydanticCustomError(fault["type"], message, about)
    return same


def validated(model: type[S], value: Mapping[str, object], context: object = None, strict: bool = True) -> S:
    """The model of a mapping of plain data. Raises ValidationError with every fault of the mapping.

    Read strictly, as specs are, a list must be a tuple and a number no text; data that come from JSON have lists.
    """
    try:
        return model.model_validate(value, strict=strict, context=context)
    except ValidationError as problems:
        faults = [fault for fault in problems.errors(include_url=False) if not _counts_sound_elements(fault)]
        meant = {(*fault["loc"][:-1], near) for fault in faults if (near := _meant(model, fault))}
        first = [fault for fault in faults if fault["loc"] not in meant]
        told = [_told(model, fault) for fault in first]
        raise ValidationError.from_exception_data(model.__name__, told) from None


def _counts_sound_elements(fault: ErrorDetails) -> bool:
    """Whether a list counts as too short only because its faulty elements, told by themselves, are left out."""
    return fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]


def _meant(model: type[Spec], fault: ErrorDetails) -> str | None:
    """The key that an unknown key most likely stands for: it is then not missing as well."""
    if fault["type"] != "extra_forbidden":
        return None
    near = near_names(str(fault["loc"][-1]), keys_of(model_at(model, fault["loc"][:-1])), 1)
    return near[0] if near else None


def _told(model: type[Spec], fault: ErrorDetails) -> InitErrorDetails:
    if fault["type"] not in ("extra_forbidden", "missing"):
        return again(fault)
    key = str(fault["loc"][-1])
    fields = keys_of(model_at(model, fault["loc"][:-1]))
    if fault["type"] == "extra_forbidden":
        told = PydanticCustomError("unknown_key", "unknown key '{key}'", {"key": key, "names": tuple(fields)})
    else:
        what = fields[key].description or ""
        told = PydanticCustomError("missing_key", "`{key}` is missing", {"key": key, "what": what})
    return InitErrorDetails(type=told, loc=fault["loc"], input=fault["input"])


def keys_of(model: type[Spec]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_at(model: type[Spec], location: Location) -> type[Spec]:
    """The model that stands at a location inside `model`, through fields, optional values, tuples and mappings."""
    for step in location:
        field = keys_of(model).get(str(step))
        inner = _spec_in(field.annotation) if field else None
        model = inner or model
    return model


def _spec_in(annotation: object) -> type[Spec] | None:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    return next((found for part in get_args(annotation) if (found := _spec_in(part))), None)
