"""A field that holds one of several registered models, chosen by a tag: `kind: ties`, or just `ties`.

It does what a discriminated union does and three things more: plugins join it, only the models that a spec uses are
built (start-up time), and locations of errors hold no tags, so that they are paths of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic_core import PydanticKnownError, core_schema

from .base import FieldForm, Spec
from .context import ReadContext, context_of
from .pydantic_errors import each_read, fault, located, validated
from .registry import Registry, UnknownNameError
from .wording import shown

S = TypeVar("S", bound=Spec)


class Choice(FieldForm):
    """Annotation: a mapping whose `tag` names a model of the registry, or that name alone.

    `default` is taken when the tag is missing. `variants` gives members that are choices themselves: `kind: prompt` is
    one of the prompt styles. `group` is a group of presets whose names may stand for a mapping. Job rows, which come
    from JSON, are read without `strict`.
    """

    def __init__(
        self,
        registry: Registry[type[S]],
        tag: str = "kind",
        default: str | None = None,
        variants: Mapping[str, Choice] | None = None,
        group: str | None = None,
        strict: bool = True,
    ) -> None:
        self.registry, self.tag, self.default, self.strict = registry, tag, default, strict
        self.variants, self.group = dict(variants or {}), group

    def read(self, value: object, info: core_schema.ValidationInfo) -> Any:
        """The model of a mapping or a name. Raises pydantic's errors."""
        if isinstance(value, Spec):
            return value
        context = context_of(info)
        may_be_preset = self.group and not (isinstance(value, str) and value in self.registry)
        if may_be_preset and (found := context.preset_in(value, str(self.group), self.about)):
            preset, changes = found
            return context.reading(preset, lambda whole: self._of_mapping(whole, context), changes)
        if isinstance(value, str):
            if self.group and value not in self.registry.names():
                about = self.about(value)
                raise fault("choice_unknown", **{**about, "names": (*about["names"], *context.names(self.group))})
            value = {self.tag: value}
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self.about(value))
        return self._of_mapping(value, context)

    def _of_mapping(self, value: Mapping[str, object], context: ReadContext) -> Spec:
        return validated(self.model_of(value), value, context, self.strict)

    def model_of(self, value: Mapping[str, object]) -> type[Spec]:
        """The model that a mapping asks for. Raises pydantic's errors for a tag that is missing or unknown."""
        if self.tag not in value and self.default is None:
            raise fault("choice_missing", **self.about(None))
        name = value.get(self.tag, self.default)
        if isinstance(name, str) and name in self.variants:
            return self.variants[name].model_of(value)
        try:
            return self.registry.get(name if isinstance(name, str) else repr(name))
        except UnknownNameError:
            raise located(self.tag, name, "choice_unknown", **self.about(name)) from None

    def about(self, value: object) -> dict[str, Any]:
        """What a message about this choice may mention."""
        names = self.registry.names()
        return {"noun": self.registry.noun, "tag": self.tag, "value": shown(value), "names": names}


class Choices(Choice):
    """Annotation: one of a choice or a list of them, no two alike; the study holds a tuple."""

    twice: ClassVar[str] = "axis_twice"
    """Kind of fault of a second one that is alike."""
    may_be_empty: ClassVar[bool] = True

    def read_one(self, value: object, info: core_schema.ValidationInfo) -> Any:
        """The model of a mapping or a name. Raises pydantic's errors."""
        return super().read(value, info)

    def told_apart_by(self, one: Any) -> object:
        """What no two of a list may share."""
        return one

    def settled(self, one: Any, folder: Path) -> Any:
        """As the study holds it; `folder` is where relative paths start."""
        return one

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[Any, ...]:
        """One or a list of them. Raises pydantic's errors, those of all entries together."""
        items = value if isinstance(value, list | tuple) else (value,)
        if not items and not self.may_be_empty:
            raise fault("axis_empty")
        seen: list[object] = []

        def read(item: object) -> Any:
            one = self.read_one(item, info)
            if (known_by := self.told_apart_by(one)) in seen:
                raise fault(self.twice, value=known_by if isinstance(known_by, str) else shown(item))
            seen.append(known_by)
            return self.settled(one, context_of(info).folder)

        return tuple(each_read(items, read))


class KnownName(FieldForm):
    """Annotation of a text; `names` is asked when one is read, so that plugins are found late.

    Without a noun it is told as pydantic tells a `Literal`, all names in the message.
    """

    def __init__(self, noun: str, names: Callable[[], tuple[str, ...]], builtin: Container[str] = ()) -> None:
        self.noun, self.names, self.builtin = noun, names, builtin

    def __get_pydantic_json_schema__(self, *_: object) -> dict[str, Any]:
        """One of the names."""
        return {"enum": list(self.names()), **({} if self.noun else {"type": "string"})}

    def read(self, value: object, info: core_schema.ValidationInfo) -> str:
        """The name itself. Raises pydantic's error for any other value."""
        if isinstance(value, str) and (value in self.builtin or value in self.names()):
            return value
        if not self.noun:
            *first, last = (f"'{name}'" for name in self.names())
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})
        raise fault("name_unknown", noun=self.noun, value=shown(value), names=self.names())
