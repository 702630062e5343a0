"""A study: the value that a spec file means, with every arm written out.

Read this first. `validate.load_study` makes a study from a file; the compiler expands it. Each arm holds its complete
settings: the study's own keys are filled in, presets and paths are replaced by what they name, ranges by their values.
What the arm's method does not use is empty or None there.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from .axes import Axis, WholeAxis, WordAxis
from .data import DataAxis
from .instruments import Benchmarks
from .jobs import Sampling
from .merge_methods import TaskArithmetic
from .methods import AnyMethod
from .models import Models
from .named import Name
from .spec import Spec
from .trainings import Merges, Train
from .traits import LEVELS, TRAITS, Level, Trait

ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Arm(Spec):
    """One arm with everything filled in.

    A tuple is an axis: its values stand in the order they are written, never twice. The subjects of an arm are the product
    of `model`, `traits` x `levels`, `data`, `seeds`, `merge` and `alpha`, each of them only if the method uses it.
    """

    name: Name = Field("", description="Name of the arm; a study without arms has one, named after its method.")
    method: AnyMethod = Field(description="How personality is induced.")
    model: Models = Field((), validate_default=False, description="Base model, or several.")
    traits: Annotated[tuple[Trait, ...], WordAxis("trait", TRAITS)] = Field(
        (), validate_default=False, description="Big Five traits, or `all`."
    )
    levels: Annotated[tuple[Level, ...], WordAxis("level", LEVELS)] = Field(
        LEVELS, validate_default=False, description="Levels of each trait: high, low; by default both."
    )
    data: DataAxis = Field((), validate_default=False, description="Dialogues for training and held-out measures.")
    train: Train | None = Field(None, validate_default=False, description="How personality models are trained.")
    merge: Merges = Field((TaskArithmetic(),), validate_default=False, description="How vectors become one change.")
    alpha: Axis = Field(
        (), validate_default=False, description="Scaling coefficient of a vector; 1 is the tuned model."
    )
    gamma: Axis = Field((), validate_default=False, description="Strength of steering by neurons.")
    seeds: WholeAxis = Field((0,), validate_default=False, description="Seeds of training: one model for each.")
    benchmarks: Benchmarks = Field((), validate_default=False, description="What every subject is measured with.")
    sampling: Sampling = Field(Sampling(), description="How answers are drawn.")
    keep: Literal["recipe", "weights"] = Field("recipe", description="Whether merged weights are written to disk.")


class Study(Spec):
    """One study, complete: nothing in it refers to another file, and every arm stands alone."""

    study: ArmName = Field(description="Name of the study, in results and in the report.")
    description: str = Field("", description="For readers; printed in the report.")
    arms: tuple[Arm, ...] = Field(description="The arms in the order they are written.")
    file: Path = Field(description="The file it was read from; relative paths of the spec started at its folder.")

    def resolved_arms(self) -> tuple[Arm, ...]:
        """Every arm with the study's keys filled in, presets and paths resolved, and axes as tuples of exact values."""
        return self.arms


def values(numbers: tuple[Decimal, ...]) -> str:
    """An axis for people: '0.1, 0.2, 0.3'."""
    from .identity import number_text

    return ", ".join(number_text(number) for number in numbers)
