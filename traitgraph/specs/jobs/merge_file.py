"""One merge without a study, as a file: `traitgraph merge RECIPE.yaml -o DIR`.

base: ./llama                          # what is changed: a folder, a model preset, or a hub id with @revision
method: {kind: ties, density: 0.3}
vectors:
  - {model: ./llama-extraverted, alpha: 0.8}       # phi = model - base
  - {adapter: ./neurotic-lora, alpha: -0.5}        # phi = scale * B A
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.study.merge_methods import MERGE_METHODS, Density, MergeMethod, TaskArithmetic

from .refs import Dtype


class MergeSource(Spec):
    """One vector of a merge, by where it comes from: give one of `model`, `adapter` and `vector`."""

    model: str | None = Field(None, description="A tuned checkpoint, named like the base; the vector is model - base.")
    adapter: str | None = Field(None, description="A LoRA adapter in peft's format (folder or hub id).")
    vector: str | None = Field(None, description="Folder of a vector that traitgraph has made.")
    of: str | None = Field(
        None, description="What `model` was tuned from, when that is not the base: the vector is then model - of."
    )
    alpha: tuple[float, ...] = Field(
        (1.0,), min_length=1, description="Coefficient; a list runs from the first layer to the last."
    )
    density: tuple[Density, ...] | None = Field(
        None,
        min_length=1,
        description="Share of this vector that is kept; a list runs from the first layer to the last, with scope: "
        "tensor. Absent: the method's.",
    )

    @field_validator("alpha", "density", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return value if isinstance(value, tuple | list) or value is None else (value,)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("model", "adapter", "vector") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of `model`, `adapter` and `vector`")
        if self.of is not None and self.model is None:
            raise ValueError("`of` belongs to `model`: adapters and vectors are differences already")
        return self


class MergeFile(Spec):
    """A base, vectors with their coefficients, a method, and what is written."""

    base: str = Field(
        description="What is changed: a folder, a GGUF file, a model preset, or a hub id, owner/name@revision."
    )
    vectors: tuple[MergeSource, ...] = Field(min_length=1, description="The vectors, with one coefficient each.")
    method: Annotated[MergeMethod, Choice(MERGE_METHODS)] = Field(
        TaskArithmetic(), description="Merge method: a name, or a mapping with `kind` and options."
    )
    names: dict[str, str] | None = Field(
        None, description="Start of a tensor's name in the vectors -> its start in the base, where they differ."
    )
    vocabulary: Literal["refuse", "common", "base"] = Field(
        "refuse",
        description="Embeddings of unequal size: refuse, change the rows that both have if they mean the same tokens, "
        "or leave them as in the base. The base's tokenizer is kept.",
    )
    dtype: Dtype | None = Field(None, description="Number format of the result; absent: each tensor keeps the base's.")
    write: Literal["weights", "adapter"] = Field(
        "weights", description="A checkpoint, or (for sums of adapters) one adapter."
    )
    rank: PositiveInt | None = Field(None, description="Rank of a written adapter; absent: exact, ranks add up.")

    @field_validator("method", mode="after")
    @classmethod
    def _coefficients_fit(cls, method: MergeMethod, info: ValidationInfo) -> MergeMethod:
        vectors: tuple[MergeSource, ...] = info.data.get("vectors", ())
        plain = all(len(each.alpha) == 1 for each in vectors)
        if plain and (reason := method.refuses_coefficients([each.alpha[0] for each in vectors])):
            raise ValueError(f"`{method.name}` has no result: {reason}")
        return method

    @model_validator(mode="after")
    def _consumed(self) -> Self:
        if self.write == "weights" and self.rank is not None:
            raise ValueError("`rank` is for `write: adapter`; weights have none")
        if self.write == "adapter" and self.dtype is not None:
            raise ValueError("`dtype` is for `write: weights`; adapters are written in float32")
        return self
