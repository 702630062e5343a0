"""A field that holds one of several registered models, chosen by a tag: `kind: ties`, or just `ties`.

It does what a discriminated union does and three things more: plugins join it, only the models that a spec uses are
built (start-up time), and locations of errors hold no tags, so that they are paths of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from .base import FORM, Spec
from .context import Scope, scope_of
from .pydantic_errors import each_read, fault, located, validated
from .references import preset_in
from .registry import Registry, UnknownNameError
from .wording import shown

S = TypeVar("S", bound=Spec)


class Choice:
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

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by looking the model up; the annotated type is only for readers and mypy."""
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A mark that `schema/forms.py` replaces by the union of all registered models."""
        return {FORM: self}

    def read(self, value: object, info: core_schema.ValidationInfo) -> Spec:
        """The model of a mapping or a name. Raises pydantic's errors."""
        if isinstance(value, Spec):
            return value
        scope = scope_of(info.context)
        if self.group and (use := preset_in(value, self.group, self.about, scope, self.registry.__contains__)):
            return use.read(lambda whole: self._of_mapping(whole, scope))
        if isinstance(value, str):
            if self.group and value not in self.registry.names():
                about = self.about(value)
                raise fault("choice_unknown", **{**about, "names": (*about["names"], *scope.names(self.group))})
            value = {self.tag: value}
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self.about(value))
        return self._of_mapping(value, scope)

    def _of_mapping(self, value: Mapping[str, object], scope: Scope) -> Spec:
        return validated(self.model_of(value), value, scope.context, self.strict)

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

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read one or a list of them; the annotated tuple is for readers and mypy."""
        return core_schema.with_info_plain_validator_function(self._read_all)

    def told_apart_by(self, one: Any) -> object:
        """What no two of a list may share."""
        return one

    def settled(self, one: Any, scope: Scope) -> Spec:
        """As the study holds it."""
        read: Spec = one
        return read

    def _read_all(self, value: object, info: core_schema.ValidationInfo) -> tuple[Spec, ...]:
        items = value if isinstance(value, list | tuple) else (value,)
        if not items and not self.may_be_empty:
            raise fault("axis_empty")
        seen: list[object] = []

        def read(item: object) -> Spec:
            one = self.read(item, info)
            if (known_by := self.told_apart_by(one)) in seen:
                raise fault(self.twice, value=known_by if isinstance(known_by, str) else shown(item))
            seen.append(known_by)
            return self.settled(one, scope_of(info.context))

        return tuple(each_read(items, read))


class KnownName:
    """Annotation of a text; `names` is asked when one is read, so that plugins are found late.

    Without a noun it is told as pydantic tells a `Literal`, all names in the message.
    """

    def __init__(self, noun: str, names: Callable[[], tuple[str, ...]], builtin: frozenset[str] = frozenset()) -> None:
        self.noun, self.names, self.builtin = noun, names, builtin

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read a name; the annotated text is for readers and mypy."""
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, *_: object) -> dict[str, Any]:
        """One of the names."""
        return {"enum": list(self.names()), **({} if self.noun else {"type": "string"})}

    def _read(self, value: object) -> str:
        if isinstance(value, str) and (value in self.builtin or value in self.names()):
            return value
        if not self.noun:
            *first, last = (f"'{name}'" for name in self.names())
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})
        raise fault("name_unknown", noun=self.noun, value=shown(value), names=self.names())
