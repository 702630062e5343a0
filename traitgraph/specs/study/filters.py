"""Holes in the product of the axes: zip, when, include, exclude.

zip      axes that move together: `zip: [[model, data]]` takes the first with the first, the second with the second
when     `when: [{if: {merge: ties}, only: {alpha: [0.1, 0.2]}}]`: where the first holds, only these values
include  points beside the product: `include: [{arm: scaling, trait: openness, level: high, alpha: 3}]`
exclude  points that are left out: `exclude: [{arm: composing, alpha: 0.4, merge: ties}]`

A point is a mapping from the axes of an arm, in the singular (model, data, trait, level, context, seed, merge, alpha,
gamma, onto, intensity, layer, coefficient), to one value of each.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core.core_schema import ValidationInfo

from traitgraph.specs.fields.axes import Axis, LayerAxis, SeedAxis, StrengthAxis
from traitgraph.specs.fields.base import FieldForm, Spec
from traitgraph.specs.fields.pydantic_errors import each_read, fault
from traitgraph.specs.fields.wording import shown

from .merge_methods import MergeMethod, Merges
from .traits import Levels, Traits

AxisName = Literal[
    "model", "data", "trait", "level", "context", "seed", "merge", "alpha", "gamma", "onto", "intensity", "layer",
    "coefficient",
]  # fmt: skip


class _Texts(FieldForm):
    def read(self, value: object, info: ValidationInfo) -> tuple[str | int, ...]:
        items = value if isinstance(value, list | tuple) else (value,)
        if not items:
            raise fault("axis_empty")
        return tuple(each_read(items, _text))


def _text(value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise fault("word_type", value=shown(value))
    return value


_ONE = {"type": ["string", "integer"]}
Texts = Annotated[
    tuple[str | int, ...],
    _Texts(),
    WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]
"""One text or a list of texts or whole numbers."""


class Filter(Spec):
    """Points that have, on every axis that is named, one of the values that are named."""

    model_config = ConfigDict(validate_default=False)  # an axis that is named is never empty

    arm: Texts = Field((), description="Names of arms.")
    model: Texts = Field((), description="Names of models.")
    data: Texts = Field((), description="Names of data sets.")
    trait: Traits = Field((), description="Traits.")
    level: Levels = Field((), description="Levels.")
    context: Texts = Field((), description="Names of contexts.")
    seed: SeedAxis = Field((), description="Seeds.")
    merge: Merges = Field((), description="Merge methods; options that are not given may be any.")
    alpha: Axis = Field((), description="Alphas.")
    gamma: StrengthAxis = Field((), description="Gammas.")
    onto: Axis = Field((), description="Alphas of the domain that vectors are carried onto.")
    intensity: Texts = Field((), description="Intensities of a prompt.")
    layer: LayerAxis = Field((), description="Layers.")
    coefficient: Axis = Field((), description="Coefficients of steering.")

    def axes(self) -> dict[str, tuple[object, ...]]:
        """The axes that are named, without `arm`, and the values that are allowed on them."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "arm" and getattr(self, name)}

    def speaks_of(self, arm: str) -> bool:
        """Whether points of this arm can match."""
        return not self.arm or arm in self.arms()

    def arms(self) -> tuple[str, ...]:
        """The names of the arms; an arm may be called 1."""
        return tuple(map(str, self.arm))

    def matches(self, point: Mapping[str, object]) -> bool:
        """Whether a point has an allowed value on every axis that is named; an axis it lacks matches nothing.

        A composed point matches when one of its vectors does, with its own trait, level and alpha.
        """
        wanted = self.axes()
        return any(
            all(name in each and any(same(value, each[name]) for value in values) for name, values in wanted.items())
            for each in vectors_of(point)
        )


def vectors_of(point: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The point itself; a composed one as seen by each of its vectors: {trait, level, alpha of that trait, ...}."""
    pairs = point.get("combination")
    if not isinstance(pairs, tuple):
        return [point]
    return [
        {**point, "trait": trait, "level": level}
        | ({"alpha": point[own]} if (own := f"alpha:{trait}") in point else {})
        for trait, level in pairs
    ]


def same(wanted: object, value: object) -> bool:
    """Whether a value of an axis is the one that a filter names: by name, by number, or by the options given."""
    if isinstance(wanted, MergeMethod):
        return type(wanted) is type(value) and all(
            getattr(value, name) == getattr(wanted, name) for name in wanted.model_fields_set
        )
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return wanted == value
    return str(wanted) == str(getattr(value, "name", value))


class When(Spec):
    """A condition and the values that are kept where it holds, in the arms that have the axes of these values."""

    condition: Filter = Field(alias="if", description="Points that this rule is about.")
    only: Filter = Field(description="Of these, only such points are kept.")

    def admits(self, point: Mapping[str, object]) -> bool:
        """Whether the rule lets the point through."""
        return not self.condition.matches(point) or self.only.matches(point)


FILTER_KEYS: dict[str, tuple[type[Filter | When], str]] = {
    "include": (Filter, "Points beside the product of the axes."),
    "exclude": (Filter, "Points of the product that are left out."),
    "when": (When, "Conditions on the points of the product."),
}
"""Keys of a study that hold lists of filters, and what each of them is for."""


def _groups(value: object) -> object:
    """Refuses names in the place of groups."""
    if isinstance(value, tuple) and value and all(isinstance(each, str) for each in value):
        raise fault("zip_flat", axes=", ".join(value))
    return value


Zip = Annotated[tuple[Annotated[tuple[AxisName, ...], Field(min_length=2)], ...], BeforeValidator(_groups)]
"""Groups of axes that move together."""
