"""What a subject is measured with, as a spec writes it: `benchmarks: [mini-ipip, {kind: lm_eval, task: arc_easy}]`.

An entry is a mapping with `kind`, the name of a kind that needs no parameters, of a questionnaire of the library, or of a
preset (group `benchmark`); `{kind: mini-ipip, mode: choice}` takes a questionnaire or preset and changes parts of it.
The compiler turns each into a `Resolved*` of `benchmarks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, PositiveInt, field_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .choice import Choice
from .data import Data
from .faults import each_read, located, validated
from .named import Name
from .preset_files import LIBRARY
from .scope import Scope, scope_of
from .registry import Registry
from .spec import Spec
from .traits import Trait


class Instrument(Spec):
    """One measure. `draws` says whether answers are sampled, `uses` which keys of the arm fill what is left out here."""

    kind: str
    draws: ClassVar[bool] = False
    uses: ClassVar[frozenset[str]] = frozenset()
    name: Name = Field("", description="Name in results; by default that of the questionnaire, task or kind.")

    def settled(self, folder: Path) -> Self:
        """Itself with a name, absolute paths and no question left open. Raises pydantic's errors."""
        return self.model_copy(update={"name": self.name or self.own_name()})

    def own_name(self) -> str:
        """The name when the spec gives none."""
        return self.kind


class ReplyContrast(Instrument):
    """Log-likelihood gap per token between high and low held-out replies to the same prompt, for each trait."""

    kind: Literal["reply_contrast"] = Field("reply_contrast", description="Gap between high and low held-out replies.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "data"})
    data: Data | None = Field(None, description="Rows of split `test` are scored; by default the arm's data.")
    traits: tuple[Trait, ...] = Field((), description="Traits whose replies are scored; by default those of the arm.")


class Questionnaire(Instrument):
    """Items answered on a scale, scored per domain, with validity checks."""

    kind: Literal["questionnaire"] = Field("questionnaire", description="Items answered on a scale.")
    draws: ClassVar[bool] = True
    items: str = Field(
        min_length=1, description="Name of a questionnaire of the library, or path of a JSON file of items."
    )
    mode: Literal["choice"] = Field("choice", description="choice: likelihood of the option letters, both orders.")

    def settled(self, folder: Path) -> Self:
        """Itself with the absolute path of its items."""
        path = questionnaire_path(self.items)
        if path is None:
            path = (folder / Path(self.items).expanduser()).resolve()
            if not path.is_file():
                about = {"noun": "questionnaire", "value": self.items, "names": questionnaire_names()}
                raise located("name_unknown", "unknown {noun} '{value}'", about, "items", self.items)
        return super().settled(folder).model_copy(update={"items": str(path)})

    def own_name(self) -> str:
        """The stem of the items' file."""
        return Path(self.items).stem


class LmEval(Instrument):
    """A task of lm-evaluation-harness: one of its own, or a local task folder."""

    kind: Literal["lm_eval"] = Field("lm_eval", description="A task of lm-evaluation-harness.")
    task: str = Field(min_length=1, description="Name of the task.")
    folder: str | None = Field(
        None, min_length=1, description="Folder with the task's YAML file and data; absent: built in."
    )
    shots: int | None = Field(None, ge=0, description="Worked examples in the prompt; absent: the task's own number.")
    limit: PositiveInt | None = Field(None, description="Only the first n documents.")

    def settled(self, folder: Path) -> Self:
        """Itself with an absolute folder that exists."""
        settled = super().settled(folder)
        if self.folder is None:
            return settled
        path = (folder / Path(self.folder).expanduser()).resolve()
        if not path.is_dir():
            about = {"value": self.folder, "names": ()}
            raise located("path_missing", "there is no file or folder '{value}'", about, "folder", self.folder)
        return settled.model_copy(update={"folder": str(path)})

    def own_name(self) -> str:
        """The task's name."""
        return self.task


INSTRUMENTS: Registry[type[Instrument]] = Registry(
    "benchmark",
    "traitgraph.benchmarks",
    {"reply_contrast": ReplyContrast, "questionnaire": Questionnaire, "lm_eval": LmEval},
)


def questionnaire_names() -> tuple[str, ...]:
    """The questionnaires that the library ships."""
    return tuple(sorted(path.stem for path in (LIBRARY / "questionnaire").glob("*.json")))


def questionnaire_path(name: str) -> Path | None:
    """The file of a questionnaire of the library, or None."""
    path = LIBRARY / "questionnaire" / f"{name}.json"
    return path if "/" not in name and path.is_file() else None


class _Benchmarks(Choice):
    """The list of instruments, each with a name of its own."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read one instrument or a list of them."""
        return core_schema.with_info_plain_validator_function(self.read_list)

    def read_list(self, value: object, info: core_schema.ValidationInfo) -> tuple[Instrument, ...]:
        """Every instrument of a list. Raises pydantic's errors, those of all entries together."""
        items = value if isinstance(value, list | tuple) else (value,)
        scope, seen = scope_of(info.context), set[str]()

        def read(item: object) -> Instrument:
            one = self._read_one(item, scope)
            if one.name in seen:
                about = {"value": one.name}
                raise PydanticCustomError("benchmark_twice", "two benchmarks are called '{value}'", about)
            seen.add(one.name)
            return one

        return tuple(each_read(items, read))

    def _read_one(self, value: object, scope: Scope) -> Instrument:
        if isinstance(value, Instrument):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise PydanticCustomError("choice_type", "`{value}` is not a {noun}", self.about(value))
        written = self._without_preset(value, scope)
        model = self.model_of(written)
        assert issubclass(model, Instrument)
        return validated(model, written, {"scope": scope}).settled(scope.folder)

    def _without_preset(self, value: Mapping[str, object], scope: Scope) -> Mapping[str, object]:
        """`kind: bfi` names a preset or a questionnaire: its mapping, changed by what stands beside it."""
        name = value.get("kind")
        if not isinstance(name, str) or name in self.registry:
            return value
        changes = {key: item for key, item in value.items() if key != "kind"}
        preset = scope.preset("benchmark", name)
        if preset:
            return {"name": name, **preset.data, **changes}
        if questionnaire_path(name):
            return {"kind": "questionnaire", "name": name, "items": name, **changes}
        return value


Benchmarks = Annotated[tuple[Instrument, ...], _Benchmarks(INSTRUMENTS)]
"""A list of instruments, or one."""
