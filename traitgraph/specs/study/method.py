"""What every method has, and what `steer` may do: what the methods and operators of packages are made from.

The methods themselves stand in `methods.py` and `prompts.py`. A package outside adds a method or an operator in one
file by one entry point (of `traitgraph.plugins`, or of its own group).
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.registry import Registry


class Method(Spec):
    """One way to induce personality, with its parameters.

    `uses` lists the keys of an arm that change its subjects, `needs` those it cannot do without; any other key of the
    arm has no effect and is an error. A plugin's method is a subclass with a `kind` of its own.
    """

    kind: str
    uses: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[tuple[str, ...]] = ()
    trains_by: ClassVar[str | None] = None
    """The only training method that fits, if there is one."""

    makes_vectors: ClassVar[bool] = False
    """Whether personality vectors come into being, which analyses may compare."""

    def own_axes(self) -> dict[str, tuple[object, ...]]:
        """Axes among the method's own parameters, by name: intensity, layer, coefficient."""
        return {}


Tensor = Any
"""A torch tensor, which passes through here; this room imports no torch."""


class SteeringOperator(Spec):
    """What `steer` does to the activations behind a block, with the direction that was measured.

    What it does belongs to its name: job keys hold the name and the options, no code.
    """

    kind: str

    def apply(self, hidden: Tensor, direction: Tensor, coefficient: float) -> Tensor:
        """The new activations at the steered positions, in the shape of `hidden`; it is not to be changed in place.

        hidden       float32 [rows, tokens, width], what the block puts out
        direction    float32 [width], mean at the highest level less mean at the lowest
        coefficient  the study's, negative for a level below the middle
        """
        raise NotImplementedError


class Add(SteeringOperator):
    """hidden + coefficient * direction (CAA, Persona Vectors)."""

    kind: Literal["add"] = Field("add", description="Add coefficient * direction.")

    def apply(self, hidden: Tensor, direction: Tensor, coefficient: float) -> Tensor:
        """The sum; 0 changes nothing."""
        return hidden + coefficient * direction


STEERING_OPERATORS: Registry[type[SteeringOperator]] = Registry(
    "steering operator", "traitgraph.steering_operators", (Add,), base=SteeringOperator
)

AnySteeringOperator = Annotated[SteeringOperator, Choice(STEERING_OPERATORS)]
"""An operator: its name, or a mapping with `kind` and its options."""
