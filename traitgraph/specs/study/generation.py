"""Dialogues to be generated: a base model steered at decoding by personality experts (DExperts; BIG5-CHAT).

sum          logits = base + gamma * expert                     (what the code of BIG5-CHAT does)
difference   logits = base + gamma * (expert - anti-expert)     (DExperts, Liu et al. 2021, arXiv:2105.03023)
With w = gamma / (1 + gamma), `sum` at gamma is `difference` from the base at w, with the temperature divided by
1 + gamma: one never stands silently for the other, so `combine` must be given.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from traitgraph.specs.fields.axes import StrengthAxis
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import located
from traitgraph.specs.fields.references import Named, Reference
from traitgraph.specs.fields.templates import ConditionText
from traitgraph.specs.source.hashing import number_text

from .data import DATA_FORMS, DataSpec, Rows
from .models import Model
from .prompts import AnyPrompt
from .training import Train


def _trained_whole(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `Expert` checks: `data` and `train` stand together."""
    given = {key: {"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in ("data", "train")}
    schema["oneOf"] = [{"allOf": list(given.values())}, {"not": {"anyOf": list(given.values())}}]


def _no_anti_expert_in_sums(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `Generation` checks: a sum subtracts nothing."""
    schema["if"] = {"properties": {"combine": {"const": "sum"}}, "required": ["combine"]}
    schema["then"] = {"properties": {"anti_expert": False}}


class Expert(Spec):
    """The model that pulls towards a trait and level: trained here from `data`, or ready-made without `data`."""

    model_config = ConfigDict(json_schema_extra=_trained_whole)

    model: Model = Field(description="Base of the expert; without `data` and `train`, the expert itself.")
    data: Rows | None = Field(None, description="Rows that the expert is trained on, with trait and level.")
    train: Train | None = Field(None, validate_default=False, description="How the expert is trained.")
    conditions: Literal["separate", "trait", "joint"] = Field(
        "trait", description="One expert for each trait and level, for each trait (BIG5-CHAT), or one for all."
    )
    instruction: ConditionText = Field(
        min_length=1,
        description="User message that the expert sees before the dialogue, with {trait}, {Trait} and {level}.",
    )

    @model_validator(mode="after")
    def _trained_whole(self) -> Self:
        if (self.data is None) != (self.train is None):
            raise ValueError("an expert is trained from `data` by `train`: give both, or neither for a ready-made one")
        return self


class Decoding(Spec):
    """How tokens are drawn. No published setting fits all models: each value is given or greedy."""

    temperature: float = Field(ge=0, description="Softmax temperature; 0 takes the most likely token. (BIG5-CHAT: 0)")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling: smallest set with this probability.")
    max_new_tokens: PositiveInt = Field(description="Longest reply. (BIG5-CHAT: 1024) [tokens]")
    seed: int = Field(0, ge=0, description="Seed of the draw.")


class Generation(Spec):
    """One steered reply to each scenario, for each trait and level of the arm."""

    model_config = ConfigDict(json_schema_extra=_no_anti_expert_in_sums)

    model: Model = Field(description="Model that writes the dialogues. (BIG5-CHAT: 70B)")
    expert: Expert = Field(description="What pulls towards the trait and level. (BIG5-CHAT: 8B)")
    scenarios: Rows = Field(description="Rows that hold what is answered: a scene, or a first turn.")
    limit: PositiveInt | None = Field(None, description="Only the first n scenarios. (BIG5-CHAT: 10000)")
    combine: Literal["sum", "difference"] = Field(description="How the logits are combined; see above.")
    gamma: StrengthAxis = Field(
        (0.5,), validate_default=True, description="Axis: strength of the expert. (0.5: BIG5-CHAT)"
    )
    anti_expert: Literal["base", "opposite"] = Field(
        "base", description="For `difference`: the base itself, or the expert at the opposite level."
    )
    filter_p: float | None = Field(
        None, gt=0, le=1, description="Cut the base's distribution to this nucleus first (DExperts); absent: no cut."
    )
    persona: AnyPrompt | None = Field(
        None, validate_default=False, description="Prompt of the trait and level that the writing model sees as well."
    )
    decoding: Decoding = Field(description="How tokens are drawn.")

    @model_validator(mode="after")
    def _anti_expert_has_effect(self) -> Self:
        if self.combine == "sum" and "anti_expert" in self.model_fields_set:
            useless = "`anti_expert` has no effect with `combine: sum`, which subtracts nothing"
            raise located("anti_expert", self.anti_expert, "no_effect", message=useless)
        return self


class GeneratedDataSpec(DataSpec):
    """Dialogues that a job generates before training."""

    key: ClassVar[str] = "generate"
    generate: Generation = Field(description="How the dialogues come about. In a study, `gamma` holds one value.")

    def own_name(self) -> str:
        """The name when the spec gives none."""
        return "generated"

    def variants(self) -> tuple[Named, ...]:
        """One data set for each gamma; a single gamma appears in no name."""
        gammas = self.generate.gamma
        return tuple(
            self.model_copy(
                update={
                    "name": f"{self.name}-gamma-{number_text(gamma)}" if len(gammas) > 1 else self.name,
                    "generate": self.generate.model_copy(update={"gamma": (gamma,)}),
                }
            )
            for gamma in gammas
        )


Data = Annotated[DataSpec, Reference("data set", "data", *DATA_FORMS, GeneratedDataSpec)]
"""One data set: a name, or a mapping with `path`, `id` or `generate`."""

DataAxis = Annotated[tuple[DataSpec, ...], Reference("data set", "data", *DATA_FORMS, GeneratedDataSpec, many=True)]
"""An axis of data sets."""
