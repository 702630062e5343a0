"""An arm with nothing left open: measures filled from it, what its method does not use emptied."""

from __future__ import annotations

from typing import TypeVar

from .analyses import Analysis
from .coefficients import PerTrait
from .consumption import UNUSED, open_fields
from .instruments import Instrument
from .study import Arm

Taker = TypeVar("Taker", Instrument, Analysis)


def settle(arm: Arm, name: str) -> Arm:
    """The arm as the compiler takes it; without a name it is called after its method."""
    used = arm.method.uses | (arm.prompt.uses if arm.prompt else frozenset())
    per_trait = arm.alpha.axes if isinstance(arm.alpha, PerTrait) else {}
    axes = arm.axes()
    return arm.model_copy(
        update={
            **{key: value for key, value in UNUSED.items() if key not in used},
            "name": name or arm.method.kind,
            "benchmarks": tuple(_filled(each, arm) for each in arm.benchmarks),
            "analyses": tuple(
                _filled(each, arm) for each in arm.analyses if arm.method.makes_vectors or not each.of_vectors
            ),
            "zip": tuple(group for group in arm.zip if all(name in axes for name in group)),
            **({"alpha": (), "alpha_of": per_trait} if per_trait else {}),
        }
    )


def _filled(taker: Taker, arm: Arm) -> Taker:
    """Every field that is left open takes the arm's value; of several data sets the first."""
    values = {key: getattr(arm, key) for key in open_fields(taker)}
    return taker.model_copy(
        update={key: value[0] if key == "data" else value for key, value in values.items() if value}
    )
