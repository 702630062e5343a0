"""Fields that are written as a name or as a mapping: models, data, clusters.

A name is a preset (`llama-3.1-8b-instruct`), a hub id (`owner/name`) or a path (`./folder`, `rows.jsonl`); a mapping is
told apart by the one key that only its form has (`id`, `path`, `package`, ...), or names a preset and changes parts of
it (`{preset: smollm2-135m, dtype: bfloat16}`). Whatever was written, the study holds a `Named` model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, ValidationError, core_schema

from traitgraph.specs.source.library import exists, is_file
from traitgraph.specs.source.positions import merged

from .base import FORM, Spec
from .context import Preset, Scope, scope_of
from .pydantic_errors import each_read, existing, fault, located, validated
from .registry import Registry
from .wording import shown

Name = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.+-]*)?$")]


class Named(Spec):
    """Something that a spec may refer to by a name."""

    key: ClassVar[str] = ""
    """The key that tells this form from the others of its field."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends of a text that make it a path of this form."""

    name: Name = Field(
        "", description="Name in results and messages; absent: the preset's, or the end of the id or path."
    )

    def settled(self, folder: Path, name: str) -> Self:
        """Itself with a name and absolute paths; `folder` is where relative paths start.

        Raises pydantic's errors for a path that is not there.
        """
        return self.model_copy(update={"name": self.name or name or self.own_name()})

    def own_name(self) -> str:
        """The name when neither the spec nor a preset gives one."""
        return str(getattr(self, self.key)).rstrip("/").rsplit("/", 1)[-1]

    def variants(self) -> tuple[Named, ...]:
        """The values of an axis that it stands for: itself, or one for each value of an axis inside it."""
        return (self,)


class Local(Named):
    """Something on this machine: `path` is absolute once the spec has been read."""

    key: ClassVar[str] = "path"
    path: str = Field(min_length=1, description="Relative paths start at the folder of the spec.")

    def settled(self, folder: Path, name: str) -> Self:
        """Itself with a name and an absolute path that exists."""
        path = existing(self.path, folder, "path")
        return super().settled(folder, name).model_copy(update={"path": str(path)})

    def own_name(self) -> str:
        """The last part of the path, without its suffix."""
        return Path(self.path).stem if self.path.endswith(self.suffixes) else Path(self.path).name


class Reference:
    """Annotation: a name, or a mapping of one of the forms; `many` makes it an axis (one of them, or a list).

    With a `registry` the forms are those that it holds, so that packages add to them.
    """

    def __init__(
        self, noun: str, group: str, *forms: type[Named], registry: Registry[Any] | None = None, many: bool = False
    ) -> None:
        self.noun, self.group, self.many = noun, group, many
        self._forms, self._registry = forms, registry

    @property
    def forms(self) -> tuple[type[Named], ...]:
        """The forms of a mapping; packages are asked only now."""
        return tuple(form for _, form in self._registry.items()) if self._registry else self._forms

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read through the scope of the spec; the annotated type is only for readers and mypy."""
        return core_schema.with_info_plain_validator_function(self._read_axis if self.many else self._read_one)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A mark that `schema/forms.py` replaces by a name or the union of the forms."""
        return {FORM: self}

    def _read_axis(self, value: object, info: core_schema.ValidationInfo) -> tuple[Named, ...]:
        if not isinstance(value, list | tuple):
            return self._read_one(value, info).variants()
        if not value:
            raise fault("axis_empty")
        seen: dict[str, Named] = {}

        def read(item: object) -> tuple[Named, ...]:
            found = self._read_one(item, info).variants()
            for one in found:
                if one == seen.get(one.name):
                    raise fault("axis_twice", value=one.name)
                if one.name in seen:
                    form = f"{one.key}: {getattr(one, one.key) if one.key == 'id' else '...'}"
                    raise fault("name_twice", value=one.name, noun=self.noun, form=form)
                seen[one.name] = one
            return found

        return tuple(chain.from_iterable(each_read(value, read)))

    def _read_one(self, value: object, info: core_schema.ValidationInfo) -> Named:
        scope = scope_of(info.context)
        if isinstance(value, Named):
            return value
        if use := preset_in(value, self.group, lambda name: self._about(name, scope), scope):
            return use.read(lambda whole: self._of_mapping(whole, use.preset.name, scope))
        if isinstance(value, str):
            return self._of_text(value, scope)
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self._about(value, scope))
        return self._of_mapping(value, "", scope)

    def _of_text(self, text: str, scope: Scope) -> Named:
        form = next((form for form in self.forms if form.key == "path"), None)
        if form and (text.startswith(("./", "../", "/", "~")) or (form.suffixes and text.endswith(form.suffixes))):
            return _flat(form, "path", text, scope)
        form = next((form for form in self.forms if form.key == "id"), None)
        if form and exists(scope.folder / text):
            if "/" in text and not is_file(scope.folder / text):
                raise fault("name_ambiguous", value=text, noun=self.noun)
            raise self._not_read(text, scope)
        if form and "/" in text:
            return _flat(form, "id", text, scope)
        raise fault("name_unknown", **self._about(text, scope))

    def _not_read(self, text: str, scope: Scope) -> PydanticCustomError:
        """The fault of a name at which something lies that no form of the field reads by a bare name."""
        files = [suffix for form in self.forms for suffix in getattr(form, "suffixes", ())]
        form = f"a {self.noun} is read from a file that ends in {' or '.join(files)}"
        form = form if is_file(scope.folder / text) else f"write ./{text}"
        return fault("form_unread", **self._about(text, scope), form=form)

    def _of_mapping(self, value: Mapping[str, object], name: str, scope: Scope) -> Named:
        form = self._form_of(value, scope)
        return validated(form, value, scope.context).settled(scope.folder, name)

    def _form_of(self, value: Mapping[str, object], scope: Scope) -> type[Named]:
        forms = [form for form in self.forms if form.key in value]
        if len(forms) == 1:
            return forms[0]
        keys = " or ".join(f"`{form.key}`" for form in (forms or self.forms))
        raise fault("form_twice" if forms else "form_missing", noun=self.noun, keys=keys)

    def _about(self, value: object, scope: Scope) -> dict[str, Any]:
        return {"noun": self.noun, "value": shown(value), "names": scope.names(self.group), "group": self.group}


def _flat(form: type[Named], key: str, text: str, scope: Scope) -> Named:
    """A mapping of one key that was written as a bare text: its faults lie in the text itself."""
    try:
        return validated(form, {key: text}, scope.context).settled(scope.folder, "")
    except ValidationError as problems:
        first = problems.errors(include_url=False)[0]
        raise PydanticCustomError(first["type"], first["msg"], first.get("ctx", {})) from None


T = TypeVar("T")
PRESET = "preset"


@dataclass(frozen=True)
class PresetUse:
    """A preset, and the keys that the spec changes in it."""

    preset: Preset
    changes: dict[str, object]
    scope: Scope

    def read(self, reader: Callable[[Mapping[str, object]], T]) -> T:
        """What `reader` makes of the changed preset; the preset's own faults are reported at its own lines.

        Mappings are changed key by key, as presets of a `defaults` list are.
        """
        whole = merged(self.preset.data, self.changes)
        assert isinstance(whole, dict), "mappings merge to a mapping"
        return self.scope.reading(self.preset, lambda: reader(whole), self.changes)


def preset_in(
    value: object,
    group: str,
    about: Callable[[object], dict[str, Any]],
    scope: Scope,
    is_known: Callable[[str], bool] = lambda name: False,
) -> PresetUse | None:
    """The preset that a value names, by its name alone or under the key `preset`; None when it names none.

    A text that `is_known` otherwise, or is no preset, is left to the caller. Raises pydantic's error for a `preset:`
    that does not exist.
    """
    if isinstance(value, str) and not is_known(value):
        preset = scope.preset(group, value)
        return PresetUse(preset, {}, scope) if preset else None
    if not isinstance(value, Mapping) or PRESET not in value:
        return None
    name = value[PRESET]
    preset = scope.preset(group, name) if isinstance(name, str) else None
    if preset is None:
        raise located(PRESET, name, "name_unknown", **{**about(name), "names": scope.names(group)})
    return PresetUse(preset, {key: item for key, item in value.items() if key != PRESET}, scope)


class PresetOr:
    """Annotation: a mapping of one model, or the name of a preset for it."""

    def __init__(self, noun: str, group: str, model: type[Spec]) -> None:
        self.noun, self.group, self.model = noun, group, model

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read the mapping or the preset; the annotated type is for readers and mypy."""
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A mark that `schema/forms.py` replaces by a name or the model."""
        return {FORM: self}

    def _read(self, value: object, info: core_schema.ValidationInfo) -> Spec:
        scope = scope_of(info.context)
        if isinstance(value, Spec):
            return value
        if use := preset_in(value, self.group, lambda name: self._about(name, scope), scope):
            return use.read(lambda whole: validated(self.model, whole, scope.context))
        if isinstance(value, str):
            raise fault("name_unknown", **self._about(value, scope))
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self._about(value, scope))
        return validated(self.model, value, scope.context)

    def _about(self, value: object, scope: Scope) -> dict[str, Any]:
        return {"noun": self.noun, "value": shown(value), "names": scope.names(self.group), "group": self.group}
