"""Steering operators: what `steer` does to the activations behind a block, with the direction that was measured.

A package outside adds one in one file by one entry point (of `traitgraph.plugins`, or of its own group): a
`SteeringOperator` with a `kind`, its options, and `apply`. Tensors pass through here; this room imports no torch.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.registry import Registry

Tensor = Any
"""A torch tensor."""


class SteeringOperator(Spec):
    """What every operator has. What it does belongs to its name: job keys hold the name and the options, no code."""

    kind: str

    def apply(self, hidden: Tensor, direction: Tensor, coefficient: float) -> Tensor:
        """The new activations at the steered positions, in the shape of `hidden`; it is not to be changed in place.

        hidden       float32 [rows, tokens, width], what the block puts out
        direction    float32 [width], mean at the high level less mean at the low level
        coefficient  the study's, negative for the low level
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
