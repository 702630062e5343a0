"""Fields that are written as a name or as a mapping: models, data, clusters.

A name is a preset (`llama-3.1-8b-instruct`), a hub id (`owner/name`) or a path (`./folder`, `rows.jsonl`); a mapping is
told apart by the one key that only its form has (`id`, `path`, `package`, ...), or names a preset and changes parts of
it (`{preset: smollm2-135m, dtype: bfloat16}`). Whatever was written, the study holds a `Named` model.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field
from pydantic_core import PydanticCustomError, ValidationError, core_schema

from traitgraph.specs.source.library import exists, is_file
from traitgraph.specs.source.positions import merged

from .base import FieldForm, Spec
from .context import PRESET, ReadContext, context_of
from .pydantic_errors import each_read, existing, fault, validated
from .registry import Registry
from .wording import shown

NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
Name = Annotated[str, Field(pattern=f"^({NAME})?$")]


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


class PresetOr(FieldForm):
    """Annotation: a mapping of one model, or the name of a preset for it; `ready` are those that packages hold."""

    def __init__(self, noun: str, group: str, model: type[Spec], ready: Registry[Any] | None = None) -> None:
        self.noun, self.group, self.model, self.ready = noun, group, model, ready

    def read(self, value: object, info: core_schema.ValidationInfo) -> Any:
        """The model of a mapping, of a preset, or of a text. Raises pydantic's errors."""
        if isinstance(value, Spec):
            return value
        context = context_of(info)
        if (made := self._ready(value, context)) is not None:
            return made
        if found := context.preset_in(value, self.group, lambda name: self._about(name, context)):
            preset, changes = found
            return context.reading(preset, lambda whole: self._of_mapping(whole, preset.name, context), changes)
        if isinstance(value, str):
            return self._of_text(value, context)
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self._about(value, context))
        return self._of_mapping(value, "", context)

    def names(self, context: ReadContext) -> tuple[str, ...]:
        """Every preset, and what packages add."""
        return (*context.names(self.group), *(self.ready.names() if self.ready else ()))

    def _ready(self, value: object, context: ReadContext) -> Spec | None:
        """What a package holds under a name that no preset has, changed by what stands beside it."""
        name = value.get(PRESET) if isinstance(value, Mapping) else value
        if self.ready is None or not isinstance(name, str) or context.preset(self.group, name):
            return None
        if name not in self.ready.names():
            return None
        found: Spec = self.ready.get(name)
        changes = {key: item for key, item in value.items() if key != PRESET} if isinstance(value, Mapping) else {}
        whole = merged(found.model_dump(exclude_unset=True), changes)
        assert isinstance(whole, dict), "mappings merge to a mapping"
        return self._of_mapping(whole, name, context) if changes else found

    def _of_text(self, text: str, context: ReadContext) -> Spec:
        raise fault("name_unknown", **self._about(text, context))

    def _of_mapping(self, value: Mapping[str, object], preset: str, context: ReadContext) -> Spec:
        return validated(self.model, value, context)

    def _about(self, value: object, context: ReadContext) -> dict[str, Any]:
        return {"noun": self.noun, "value": shown(value), "names": self.names(context), "group": self.group}


class Reference(PresetOr):
    """Annotation: a name, or a mapping of one of the forms; `many` makes it an axis (one of them, or a list).

    With a `registry` the forms are those that it holds, so that packages add to them.
    """

    def __init__(
        self, noun: str, group: str, *forms: type[Named], registry: Registry[Any] | None = None, many: bool = False
    ) -> None:
        super().__init__(noun, group, Named)
        self._forms, self._registry, self.many = forms, registry, many

    @property
    def forms(self) -> tuple[type[Named], ...]:
        """The forms of a mapping; packages are asked only now."""
        return tuple(form for _, form in self._registry.items()) if self._registry else self._forms

    def read(self, value: object, info: core_schema.ValidationInfo) -> Any:
        """What is named, or all that an axis names. Raises pydantic's errors, those of a list together."""
        if not self.many:
            return super().read(value, info)
        if not isinstance(value, list | tuple):
            return super().read(value, info).variants()
        if not value:
            raise fault("axis_empty")
        seen: dict[str, Named] = {}

        def read(item: object) -> tuple[Named, ...]:
            found: tuple[Named, ...] = super(Reference, self).read(item, info).variants()
            for one in found:
                if one == seen.get(one.name):
                    raise fault("axis_twice", value=one.name)
                if one.name in seen:
                    form = f"{one.key}: {getattr(one, one.key) if one.key == 'id' else '...'}"
                    raise fault("name_twice", value=one.name, noun=self.noun, form=form)
                seen[one.name] = one
            return found

        return tuple(chain.from_iterable(each_read(value, read)))

    def _of_text(self, text: str, context: ReadContext) -> Named:
        """The path or hub id that a text is when it is no preset."""
        forms, place = {form.key: form for form in self.forms}, context.folder / text
        form = forms.get("path")
        if form and (text.startswith(("./", "../", "/", "~")) or (form.suffixes and text.endswith(form.suffixes))):
            return self._flat(form, text, context)
        form = forms.get("id")
        if form and exists(place):
            if not is_file(place) and "/" in text:
                raise fault("name_ambiguous", value=text, noun=self.noun)
            files = [suffix for each in self.forms for suffix in each.suffixes]
            ends = " or ".join(filter(None, [", ".join(files[:-1]), *files[-1:]]))
            wanted = f"a {self.noun} is read from a file that ends in {ends}"
            raise fault(
                "form_unread", **self._about(text, context), form=wanted if is_file(place) else f"write ./{text}"
            )
        if form and "/" in text:
            return self._flat(form, text, context)
        raise fault("name_unknown", **self._about(text, context))

    def _flat(self, form: type[Named], text: str, context: ReadContext) -> Named:
        """A mapping of one key that was written as a bare text: its faults lie in the text itself."""
        try:
            return validated(form, {form.key: text}, context).settled(context.folder, "")
        except ValidationError as problems:
            first = problems.errors(include_url=False)[0]
            raise PydanticCustomError(first["type"], first["msg"], first.get("ctx", {})) from None

    def _of_mapping(self, value: Mapping[str, object], preset: str, context: ReadContext) -> Named:
        forms = [form for form in self.forms if form.key in value]
        if len(forms) == 1:
            return validated(forms[0], value, context).settled(context.folder, preset)
        keys = " or ".join(f"`{form.key}`" for form in (forms or self.forms))
        raise fault("form_twice" if forms else "form_missing", noun=self.noun, keys=keys)
