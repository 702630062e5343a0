"""Faults found by pydantic and by our validators, kept as pydantic's errors until `diagnose` tells them.

A validator of ours raises a `fault`, or one that is `located` inside its value; `each_read` gathers those of a list, so
that every fault ends in one list with its path. `validated` adds what a message needs and pydantic does not say: the
names that a mapping may have, and what a missing key is for. The sentences stand in `wording.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TypeVar, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError
from pydantic_core.core_schema import ErrorType

from traitgraph.specs.composition.arms import an_arm_for_each, inside_arm
from traitgraph.specs.source.diagnostics import OVERRIDE, Diagnostic, error, near_hint, near_names, odd_character
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.library import beside, exists, from_folder, is_folder, is_plain
from traitgraph.specs.source.positions import Document, Path, dotted

from .base import Spec
from .wording import WORDINGS, Wording, shown

S = TypeVar("S", bound=Spec)
T = TypeVar("T")


def fault(kind: str, /, **facts: object) -> PydanticCustomError:
    """A fault of the value that is being validated: its kind, and the facts that its message tells."""
    return PydanticCustomError(kind, WORDINGS[kind].message, facts)


def located(place: str | int, written: object, kind: str, /, **facts: object) -> ValidationError:
    """A fault at a place inside the value that is being validated, where `written` stands."""
    found = InitErrorDetails(type=fault(kind, **facts), loc=(place,), input=written)
    return ValidationError.from_exception_data("spec", [found])


def existing(path: str, folder: FilePath, key: str, file: str = "") -> FilePath:
    """The absolute path; `file`: it is one, which ends so. Raises pydantic's error, located at `key`, else."""
    found = from_folder(folder, path)
    if not is_plain(found):
        raise nothing_at(found, path, key)
    if file and is_folder(found):
        raise file_wanted(found, path, key, file)
    return found


def file_wanted(path: FilePath, written: str, key: str, suffix: str | tuple[str, ...]) -> ValidationError:
    """The fault of a folder in the place of a file, with those that it holds."""
    return located(key, written, "file_wanted", value=written, names=beside(path / "-", suffix))


def nothing_at(path: FilePath, written: str, key: str, suffix: str = "") -> ValidationError:
    """The fault of a path at which nothing is that can be read, with the names in its folder."""
    if exists(path):
        return located(key, written, "path_odd", value=written)
    return located(key, written, "path_missing", value=written, key=path.name, names=beside(path, suffix))


def each_read(items: Iterable[object] | Mapping[str, object], read: Callable[[object], T]) -> list[T]:
    """What `read` makes of each item. Raises ValidationError with the faults of all, located by their index or key."""
    results: list[T] = []
    faults: list[InitErrorDetails] = []
    for place, item in items.items() if isinstance(items, Mapping) else enumerate(items):
        try:
            results.append(read(item))
        except PydanticCustomError as problem:
            faults.append(InitErrorDetails(type=problem, loc=(place,), input=item))
        except ValidationError as problems:
            faults += [again(fault, (place,)) for fault in problems.errors(include_url=False)]
    if faults:
        raise ValidationError.from_exception_data("list", faults)
    return results


def again(found: ErrorDetails, before: Path = ()) -> InitErrorDetails:
    """A fault that was caught, to be raised again with `before` in front of its location."""
    kind, facts = found["type"], found.get("ctx", {})
    same = InitErrorDetails(type=kind, loc=(*before, *found["loc"]), input=found["input"], ctx=facts)
    if kind not in get_args(ErrorType):
        same["type"] = PydanticCustomError(kind, found["msg"], facts)
    return same


def validated(model: type[S], value: Mapping[str, object], context: object = None, strict: bool = True) -> S:
    """The model of a mapping of plain data. Raises ValidationError with every fault of the mapping.

    Read strictly, as specs are, a list must be a tuple and a number no text; data that come from JSON have lists.
    """
    try:
        return model.model_validate(value, strict=strict, context=context)
    except ValidationError as problems:
        told, meant = list[InitErrorDetails](), set[Path]()
        for found in problems.errors(include_url=False):
            kind, place = found["type"], found["loc"]
            if kind not in ("extra_forbidden", "missing"):
                told.append(again(found))
                continue
            key, fields = str(place[-1]), keys_of(model_at(model, place[:-1]))
            if kind == "missing":
                about = fault("missing_key", key=key, what=fields[key].description or "")
            else:
                about = fault("unknown_key", key=key, names=tuple(fields))
                # the key that it most likely stands for is not missing as well
                meant |= {(*place[:-1], near) for near in near_names(key, fields, 1)}
            told.append(InitErrorDetails(type=about, loc=place, input=found["input"]))
        told = [each for each in told if each.get("loc") not in meant]
        raise ValidationError.from_exception_data(model.__name__, told) from None


def keys_of(model: type[Spec]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_at(model: type[Spec], location: Path) -> type[Spec]:
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


NUMBERS = ("int_type", "float_type", "number_type")
"""Types of faults of a value that is no number."""
SCALARS = ("string_type", "int_type", "float_type", "bool_type", "literal_error")
"""Types of faults of a field that holds one value."""


def diagnose(
    problems: ValidationError | PydanticCustomError,
    data: object,
    document: Document | None,
    place: Callable[[Path], Path] = lambda path: path,
) -> list[Diagnostic]:
    """Every fault as a diagnostic. `data` is what was validated; `place` maps its paths to paths of the document."""
    if isinstance(problems, ValidationError):
        faults = problems.errors(include_url=False)
    else:
        facts = problems.context or {}
        faults = [ErrorDetails(type=problems.type, loc=(), msg="", input=data, ctx=facts)]
    return [_diagnostic(each, data, document, place) for each in to_be_told(faults)]


def to_be_told(faults: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The faults without those that are told already, or follow from others."""
    around = {each["loc"][:depth] for each in faults for depth in range(len(each["loc"]))}
    # a list may be too short only because elements of it are wrong, which is told of them
    told = (each for each in faults if not (each["type"] == "too_short" and each["loc"] in around))
    return [each for each in told if each["type"] != "reported"]


def _diagnostic(
    found: ErrorDetails, data: object, document: Document | None, place: Callable[[Path], Path]
) -> Diagnostic:
    kind, value = found["type"], found["input"]
    in_its_words = Wording("TG104", f"{found['msg'].replace('{', '{{').replace('}', '}}')}, and not {{quoted}}")
    wording, text = WORDINGS.get(kind, in_its_words), shown(value)  # a plugin's field may find what none of ours does
    facts = {
        name: number_text(each) if isinstance(each, float) else each for name, each in found.get("ctx", {}).items()
    }
    about = {"value": text, "quoted": f"'{text}'" if isinstance(value, str) else f"`{text}`", "input": value, **facts}
    written = as_written(found["loc"], data)
    path, span = place(written), None
    if document:
        span = document.key_span(path) if wording.at_key and written else document.value_span(path)
    hint = _one_value(found, path) or odd_character(value, number=kind in NUMBERS) or wording.repair(about)
    if span and span.file == OVERRIDE and kind == "path_missing":
        where = "relative paths start at the folder of the spec, or at the one of the call"
        hint = f"{hint}\n{where}" if hint else where
    named = place(found["loc"]) if kind == "missing_key" else path
    return error(wording.code, wording.message.format(**about), span, dotted(named), hint)


def _one_value(found: ErrorDetails, path: Path) -> str | None:
    """The repair of a list that stands where one number or word is wanted."""
    values = found["input"]
    if isinstance(values, str) and found["type"] in ("int_type", "float_type"):
        values = values.split(",")
    if found["type"] not in SCALARS or not isinstance(values, list | tuple) or len(values) < 2:
        return None
    if any(isinstance(step, int) for step in path):
        return None  # inside a list: no arm can be told by it
    return "it is not an axis: " + an_arm_for_each(inside_arm(path), [shown(value).strip() for value in values])


def as_written(location: Sequence[int | str], data: object) -> Path:
    """The longest part of a location that the data have: a shorthand has no inner keys, one value no index."""
    path: list[int | str] = []
    for step in location:
        if isinstance(data, Mapping):
            if step == 0 and step not in data:
                continue  # one mapping where a list of them may stand
            if step not in data:
                break
            data = data[step]
        elif isinstance(data, list | tuple) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            break
        path.append(step)
    return tuple(path)


def unknown_key(key: str, names: Sequence[str], path: Path, document: Document) -> Diagnostic:
    """A key that a mapping does not have, with the names that it has."""
    wording = WORDINGS["unknown_key"]
    what = wording.message.format(key=shown(key))
    return document.error(wording.code, what, path, near_hint(key, names), at_key=True)
