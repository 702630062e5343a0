"""How personality is induced. Each method names the keys of an arm that it uses; any other key there is an error.

method    subject                                               stages that it implies
direct    the base model                                        assess
prompt    the base model after a system message                 assess
sft, dpo  a model tuned for one trait and level                  train -> assess
vector    base + alpha * (tuned - base)                          train -> vector -> merge -> assess
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .choice import Choice
from .registry import Registry
from .spec import Spec

TRAINED = frozenset({"traits", "levels", "data", "train", "seeds"})


class Method(Spec):
    """One way to induce personality. `uses` lists the keys of an arm that change its subjects; `needs` those it cannot do without."""

    kind: str
    uses: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[tuple[str, ...]] = ()
    trains_by: ClassVar[str | None] = None
    """The only training method that fits, if there is one."""


class Direct(Method):
    """The base model as it is."""

    kind: Literal["direct"] = Field("direct", description="The base model as it is.")


class Prompt(Method):
    """The base model after a system message that names the trait and the level."""

    kind: Literal["prompt"] = Field("prompt", description="A system message that names the trait and the level.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels"})
    needs: ClassVar[tuple[str, ...]] = ("traits",)
    template: str = Field(
        "You are a person with {level} {trait}.",
        description="System message; {trait} and {level} are filled in. (BIG5-CHAT)",
    )


class Sft(Method):
    """Supervised fine-tuning, one model for each trait and level."""

    kind: Literal["sft"] = Field("sft", description="Supervised fine-tuning for each trait and level.")
    uses: ClassVar[frozenset[str]] = TRAINED
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train")
    trains_by: ClassVar[str | None] = "sft"


class Dpo(Method):
    """Preference optimisation, one model for each trait and level."""

    kind: Literal["dpo"] = Field("dpo", description="Preference optimisation for each trait and level.")
    uses: ClassVar[frozenset[str]] = TRAINED
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train")
    trains_by: ClassVar[str | None] = "dpo"


class Vector(Method):
    """A personality vector added to the base: base + alpha * (tuned - base); a negative alpha negates the trait."""

    kind: Literal["vector"] = Field(
        "vector", description="A personality vector, scaled by alpha and added to the base."
    )
    uses: ClassVar[frozenset[str]] = TRAINED | {"merge", "alpha", "keep"}
    needs: ClassVar[tuple[str, ...]] = ("traits", "data", "train", "alpha")


METHODS: Registry[type[Method]] = Registry(
    "method",
    "traitgraph.methods",
    {"direct": Direct, "prompt": Prompt, "sft": Sft, "dpo": Dpo, "vector": Vector},
)

AnyMethod = Annotated[Method, Choice(METHODS)]
"""A method: its name, or a mapping with `kind` and its parameters."""
