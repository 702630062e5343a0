"""How a personality model is trained: supervised fine-tuning or preference optimisation, full or low-rank."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PositiveInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ValidationInfo

from traitgraph.specs.fields.base import FieldForm, Spec
from traitgraph.specs.fields.choice import Choice, KnownName
from traitgraph.specs.fields.pydantic_errors import each_read, fault, located
from traitgraph.specs.fields.references import PresetOr
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.fields.templates import ConditionText
from traitgraph.specs.fields.wording import shown

MOST = 1_000_000
"""More repeats or tokens of an answer are a typing mistake."""


OWN_ENGINE = "transformers"


class AnswerEngine:
    """What computes answers; `traitgraph.runtime.models.generation.Engine` says which methods it has."""

    name: ClassVar[str]


ENGINES: Registry[type[AnswerEngine]] = Registry(
    "engine",
    "traitgraph.engines",
    {OWN_ENGINE: "traitgraph.runtime.models.generation:InProcess"},
    base=AnswerEngine,
    tag="name",
)
"""Name -> class without parameters."""


def _own_is_none(name: str) -> str | None:
    """Our own engine stands in no key: one that is named is the one that is left out."""
    return None if name == OWN_ENGINE else name


EngineName = Annotated[str, KnownName("engine", ENGINES.names, ENGINES.builtin), AfterValidator(_own_is_none)]


class Sampling(Spec):
    """How answers are drawn."""

    temperature: float = Field(0.6, ge=0, description="Softmax temperature; 0 takes the most likely answer.")
    repeats: int = Field(5, ge=1, le=MOST, description="Independent administrations of each sampled benchmark.")
    seed: int = Field(0, ge=0, description="Seed of the first repeat; repeat r uses a stream of its own.")
    max_new_tokens: int = Field(128, ge=1, le=MOST, description="Longest free answer. [tokens]")
    engine: EngineName | None = Field(
        None,
        exclude_if=lambda name: name is None,
        description="What computes the answers: an engine of another package; absent: transformers, in the worker.",
    )


WORDS = ("all-linear", "attention", "mlp")


class _Targets(FieldForm):
    """One of the words, or a list of names, held in one order, for the order changes nothing."""

    def read(self, value: object, info: ValidationInfo) -> str | tuple[str, ...]:
        if isinstance(value, list | tuple):
            if not value:
                raise PydanticKnownError("too_short", {"field_type": "List", "min_length": 1, "actual_length": 0})
            return tuple(sorted(set(each_read(value, _module_name))))
        if isinstance(value, str) and value in WORDS:
            return value
        raise fault("name_unknown", noun="target of adapters", value=shown(value), names=WORDS)


def _module_name(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise fault("choice_type", noun="module", value=shown(value))


_NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
Targets = Annotated[str | tuple[str, ...], _Targets(), WithJsonSchema({"anyOf": [{"enum": list(WORDS)}, _NAMES]})]
"""`all-linear`, `attention`, `mlp`, or names of modules such as [q_proj, v_proj]."""


class Lora(Spec):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685) through peft."""

    rank: PositiveInt = Field(16, description="Inner dimension r. Adapter weights grow linearly with it.")
    alpha: float = Field(32, gt=0, description="Numerator of the adapter's scale: alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input. [probability]")
    targets: Targets = Field(
        "all-linear",
        description="Modules that get an adapter: all linear layers, those of attention or of the MLP, or a list of "
        "names, [q_proj, v_proj].",
    )
    rank_stabilised: bool = Field(False, description="Scale by alpha / sqrt(rank) (rsLoRA, arXiv:2312.03732).")


class Validation(Spec):
    """Rows that are held back, and how often their loss is measured; the state with the lowest loss is kept."""

    share: float = Field(gt=0, lt=1, description="Share of the training rows that is held back.")
    every: PositiveInt = Field(description="Measured every so many optimiser steps. [steps]")


_WHOLE: JsonDict = {
    "oneOf": [{"required": [key], "properties": {key: {"type": "number"}}} for key in ("epochs", "steps")],
    "if": {"required": ["instruction_place"], "properties": {"instruction_place": {"const": "user"}}},
    "then": {"required": ["instruction"], "properties": {"instruction": {"type": "string"}}},
}
"""What `Training` checks, for JSON Schema: one of `epochs` and `steps`, no place without an instruction."""


class Training(Spec):
    """What supervised fine-tuning and preference optimisation share."""

    model_config = ConfigDict(json_schema_extra=_WHOLE)

    learning_rate: float = Field(
        gt=0, le=1, description="Peak value, after warm-up. Papers disagree: it must be given. [1/step]"
    )
    epochs: float | None = Field(
        None, gt=0, le=1_000_000, description="Passes over the training rows; give this or `steps`."
    )
    steps: PositiveInt | None = Field(None, description="Optimiser steps; give this or `epochs`.")
    batch_size: PositiveInt = Field(8, description="Rows per forward pass; several GPUs share those of a step.")
    accumulation: PositiveInt = Field(
        1, description="Forward passes per optimiser step, those of all GPUs together: a step has the same rows."
    )
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="Learning rate after warm-up.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises from 0. [steps]")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of AdamW. [1/step]")
    max_length: PositiveInt = Field(1024, description="Longer rows are cut. [tokens]")
    max_cut: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share of rows that may be longer than `max_length`: they lose their end, or are left out "
        "whole, and teach a model not to stop. More of them stop the training; absent: 0.05.",
    )
    lora: Lora | None = Field(Lora(), description="Adapter settings; null trains every weight.")
    instruction: ConditionText | None = Field(
        None,
        description="System message of every training row, with {trait}, {Trait} and {level}; absent: none. (BIG5-CHAT "
        "has one: 'Openness - high' is {Trait} - {level})",
    )
    instruction_place: Literal["user"] | None = Field(
        None, description="user: the instruction stands at the head of the user message instead. (BIG5-CHAT: user)"
    )
    optimiser: Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "adafactor"] | None = Field(
        None, description="absent: adamw. The 8-bit ones need bitsandbytes and a GPU."
    )
    max_gradient_norm: float | None = Field(None, gt=0, description="Longer gradients are cut; absent: 1, as in trl.")
    validation: Validation | None = Field(
        None, description="Hold rows back and keep the best state; absent: keep the last."
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of `epochs` and `steps`; null takes one back that is given elsewhere")
        return self

    @model_validator(mode="after")
    def _place_of_something(self) -> Self:
        if self.instruction_place and self.instruction is None:
            place, useless = "instruction_place", "`instruction_place` has no effect without an `instruction`"
            raise located(place, self.instruction_place, "no_effect", message=useless)
        return self


class SftTraining(Training):
    """Supervised fine-tuning on the rows of one trait and level; the loss covers the reply only."""

    method: Literal["sft"] = Field("sft", description="Supervised fine-tuning.")


class DpoTraining(Training):
    """Direct preference optimisation (arXiv:2305.18290): the level's reply is chosen, the opposite level's rejected."""

    method: Literal["dpo"] = Field("dpo", description="Direct preference optimisation.")
    beta: float = Field(0.1, gt=0, description="Strength of the pull towards the reference model. (0.1: BIG5-CHAT)")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Assumed share of swapped labels: robust DPO (arXiv:2403.00409). [probability]"
    )


AnyTraining = Annotated[SftTraining | DpoTraining, Field(discriminator="method")]

TRAININGS: Registry[type[Training]] = Registry(
    "training method", "traitgraph.trainings", (SftTraining, DpoTraining), tag="method"
)

TRAINING_CHOICE = Choice(TRAININGS, tag="method", group="train")

Train = Annotated[SftTraining | DpoTraining, TRAINING_CHOICE]
"""How personality models are trained: a preset, or a mapping with `method`."""

Samplings = Annotated[Sampling, PresetOr("way of sampling", "sampling", Sampling)]
"""How answers are drawn: a preset, or a mapping."""
