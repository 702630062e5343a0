"""Training, merging and sampling as a spec writes them: a name, a preset, or a mapping. Open to plugins."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.pydantic_errors import each_read, fault
from traitgraph.specs.fields.references import PresetOr
from traitgraph.specs.fields.registry import Registry

from .merge_methods import MERGE_METHODS, MergeMethod
from .training import DpoTraining, Sampling, SftTraining, Training

TRAININGS: Registry[type[Training]] = Registry(
    "training method", "traitgraph.trainings", {"sft": SftTraining, "dpo": DpoTraining}
)

TRAINING_CHOICE = Choice(TRAININGS, tag="method", group="train")

Train = Annotated[SftTraining | DpoTraining, TRAINING_CHOICE]
"""How personality models are trained: a preset, or a mapping with `method`."""


class _Merges(Choice):
    """One merge method or a list of them: an axis."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A mark that `schema.py` replaces."""
        return {"x-choice": self, "x-many": True}

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read one or a list."""
        return core_schema.with_info_plain_validator_function(self.read_axis)

    def read_axis(self, value: object, info: core_schema.ValidationInfo) -> tuple[Spec, ...]:
        """Every merge method of the axis. Raises pydantic's errors, those of all entries together."""
        if not isinstance(value, list | tuple):
            return (self.read(value, info),)
        if not value:
            raise fault("axis_empty")
        seen: list[Spec] = []

        def read(item: object) -> Spec:
            one = self.read(item, info)
            if one in seen:
                raise fault("axis_twice", **self.about(item))
            seen.append(one)
            return one

        return tuple(each_read(value, read))


Merges = Annotated[tuple[MergeMethod, ...], _Merges(MERGE_METHODS)]
"""An axis of merge methods: names, or mappings with `kind`."""

Samplings = Annotated[Sampling, PresetOr("way of sampling", "sampling", Sampling)]
"""How answers are drawn: a preset, or a mapping."""
