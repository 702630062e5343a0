"""How personality is induced. Each method names the keys of an arm that it uses; any other key there is an error.

method    subject                                                     stages that it implies
direct    the base model                                              assess
prompt    the base model after a message (styles: `prompts.py`)         assess
sft, dpo  a model tuned for one trait and level, or for all at once     train -> assess
vector    base + alpha * (tuned - base)                               train -> vector -> merge -> assess
compose   base + the vectors of several traits at once                train -> vector -> merge -> assess
steer     the base with activations shifted at one layer              activations -> assess
npti      the base with trait neurons turned up and down              neurons -> assess
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from traitgraph.specs.fields.axes import Axis, LayerAxis
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.registry import Registry

from .method import Add, AnySteeringOperator, Method
from .prompts import PROMPT_STYLES, AnyPrompt, InstructionPrompt, Prompt
from .traits import Combinations

__all__ = ["METHODS", "AnyMethod", "Compose", "Direct", "Dpo", "Method", "Npti", "Prompt", "Sft", "Steer", "Vector"]

TRAINED = frozenset({"traits", "levels", "data", "train", "seeds"})


class Direct(Method):
    """The base model as it is."""

    kind: Literal["direct"] = Field("direct", description="The base model as it is.")


class Tuned(Method):
    """A model tuned for a trait and level."""

    uses: ClassVar[frozenset[str]] = TRAINED | {"prompt"}
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train")
    conditions: Literal["separate", "joint"] = Field(
        "separate",
        description="separate: one model for each trait and level (Personality Vector). joint: one model for all, "
        "told apart by `train.instruction` (BIG5-CHAT).",
    )


class Sft(Tuned):
    """Supervised fine-tuning."""

    kind: Literal["sft"] = Field("sft", description="Supervised fine-tuning.")
    trains_by: ClassVar[str | None] = "sft"


class Dpo(Tuned):
    """Direct preference optimisation."""

    kind: Literal["dpo"] = Field("dpo", description="Direct preference optimisation.")
    trains_by: ClassVar[str | None] = "dpo"


class Vector(Method):
    """A personality vector added to the base: base + alpha * (tuned - base); a negative alpha negates the trait."""

    kind: Literal["vector"] = Field("vector", description="A personality vector, scaled by alpha, added to the base.")
    uses: ClassVar[frozenset[str]] = TRAINED | {"merge", "alpha", "keep", "onto", "prompt"}
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train", "alpha")
    makes_vectors: ClassVar[bool] = True
    contrast: bool = Field(
        False, description="Use the difference to the opposite level's vector: what both share is taken out."
    )


class Compose(Method):
    """The vectors of several traits added at once: base + sum of alpha * vector, one level for each trait."""

    kind: Literal["compose"] = Field("compose", description="Vectors of several traits, merged.")
    uses: ClassVar[frozenset[str]] = TRAINED | {"merge", "alpha", "keep", "onto", "prompt"}
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train", "alpha")
    makes_vectors: ClassVar[bool] = True
    combinations: Combinations = Field(
        "all", description="all: every combination of the levels over the traits (2 levels, 5 traits: 32); or a list."
    )


class Steer(Method):
    """Activations shifted at one layer by coefficient * (mean at the level - mean at the opposite level).

    `operation` names another way to steer by the same difference, which a package outside may add.
    """

    kind: Literal["steer"] = Field("steer", description="Activations shifted at one layer.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels", "data", "prompt"})
    needs: ClassVar[tuple[str, ...]] = ("traits", "data")
    layer: LayerAxis = Field(
        description="Axis: block whose output is shifted, the first is 1; papers use one about 70 % deep."
    )
    coefficient: Axis = Field(description="Axis: factor on the difference; 1.5 to 2 is usual for 7B (Persona Vectors).")
    read_out: Literal["response", "prompt", "last_prompt"] = Field(
        "response",
        description="Positions whose activations are averaged for the difference (Persona Vectors: response). "
        "prompt, last_prompt: of prompts that differ by level.",
    )
    positions: Literal["all", "prompt", "response"] = Field(
        "response",
        description="Positions that are shifted; response: those at which a token of the reply is predicted "
        "(CAA, Persona Vectors).",
    )
    normalise: bool = Field(False, description="Scale the difference to length 1; both sources leave it as it is.")
    operation: AnySteeringOperator = Field(Add(), description="What is done to the activations with the difference.")

    def own_axes(self) -> dict[str, tuple[object, ...]]:
        """Layers and coefficients."""
        return {"layer": self.layer, "coefficient": self.coefficient}


class Npti(Method):
    """Neurons of the trait turned up by gamma, those of the opposite level turned off (NPTI, arXiv:2410.12327).

    A neuron is a gate unit of an MLP. At gamma 0 the others are still turned off. Defaults are those of the published
    code.
    """

    kind: Literal["npti"] = Field("npti", description="Neurons of the trait turned up, their opposites turned off.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels", "data", "gamma", "prompt"})
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "gamma")
    personas: AnyPrompt = Field(
        InstructionPrompt(), description="Prompt under which the model answers the questions of `data` at each level."
    )
    limit: PositiveInt | None = Field(
        None, description="Only so many questions of the trait, the first; default: all of the training split."
    )
    neurons: PositiveInt = Field(2000, description="At least so many neurons in each set.")
    difference: float = Field(
        0.1, ge=0, le=1, description="And all others whose activation probabilities differ so much."
    )
    share: float = Field(0.9, gt=0, le=1, description="Share of the set that is turned up, drawn at random.")
    quantile: float = Field(0.95, gt=0, lt=1, description="Quantile of the activation that gamma multiplies.")
    midpoint: float = Field(0.15, description="Difference at which the weight of a neuron is one half.")
    steepness: float = Field(10.0, gt=0, description="Steepness of that weight, a logistic function of the difference.")
    repetition_penalty: float = Field(1.1, gt=0, description="Repetition penalty while neurons are searched.")
    max_new_tokens: PositiveInt = Field(500, description="Longest answer while neurons are searched. [tokens]")
    seed: int = Field(0, ge=0, description="Seed of the random share.")


METHODS: Registry[type[Method]] = Registry(
    "method", "traitgraph.methods", (Direct, Prompt, Sft, Dpo, Vector, Compose, Steer, Npti), base=Method
)

AnyMethod = Annotated[Method, Choice(METHODS, variants={"prompt": Choice(PROMPT_STYLES, "style", "instruction")})]
"""A method: its name, or a mapping with `kind` and its parameters."""
