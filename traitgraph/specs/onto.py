"""Vectors carried onto another model of the same base: theta = base + a * (domain - base) + alpha * vector."""

from pydantic import Field

from .axes import Axis
from .models import TunedModel
from .spec import Spec


class Onto(Spec):
    """The model that the vectors are added to, and how much of it. Papers state neither: both must be given."""

    model: TunedModel = Field(description="A tuned model of the same base, or a vision-language model built on it.")
    alpha: Axis = Field(description="Axis: how much of the domain, domain - base, is taken; 1 is the model itself.")
    names: dict[str, str] | None = Field(
        None,
        description="Start of a tensor's name in the base: its start in the model, {model.: model.language_model.}; "
        "tensors without a partner (vision parts) stay as they are.",
    )
