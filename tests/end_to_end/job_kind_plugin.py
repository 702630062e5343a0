"""A package of somebody else, in one file: a kind of job, and a method that lowers to it.

A subject is the base with noise in its weights; the noise is drawn anew for each trait and level.
"""

from typing import ClassVar, Literal

from pydantic import Field

from traitgraph.compiler.ir.builder import Builder, Group, Made
from traitgraph.compiler.ir.ir import Input, row_ids
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.specs.jobs.refs import FolderModel
from traitgraph.specs.study.job_kinds import JobKind, JobParams
from traitgraph.specs.study.method import Method
from traitgraph.specs.study.traits import Level, Trait


class Noise(Method):
    """The base with noise in its weights."""

    kind: Literal["noise"] = Field("noise", description="Noise in the weights.")
    uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels"})
    needs: ClassVar[tuple[str, ...]] = ("traits",)
    size: float = Field(0.05, ge=0, description="Standard deviation of what is added to each weight.")


class DisturbParams(JobParams):
    """Add noise to every weight."""

    kind: ClassVar[str] = "disturb"
    row_fields: ClassVar[tuple[str, ...]] = ("trait", "level")
    model: FolderModel
    size: float
    trait: Trait
    level: Level


def disturb(context: JobContext, params: DisturbParams) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(verified(context.locations, params.model.digest) / "model.safetensors")
    (context.out / "model").mkdir()
    noisy = {name: tensor + params.size * torch.randn_like(tensor) for name, tensor in tensors.items()}
    save_file(noisy, context.out / "model" / "model.safetensors", {"format": "pt"})


DISTURB = JobKind(
    "disturb", "job_kind_plugin:DisturbParams", "job_kind_plugin:disturb", "the weights of a disturbed model",
    inputs=("model",), order=55, is_means=True, seconds=(1, 2),
)  # fmt: skip


def lower_noise(group: Group, builder: Builder) -> list[Made]:
    method = group.arm.method
    assert isinstance(method, Noise)
    conditions, place = group.subjects.distinct(("trait", "level"))
    first = row_ids(list(place).index(row) for row in range(conditions.rows))
    template = {"model": group.model, "size": method.size}
    where = group.where(("model", "trait", "level"), first)
    made = builder.add("disturb", template, conditions, group.model_input(conditions.rows), where=where)
    weights = row_ids(made[row] for row in place)
    return [Made(row_ids(range(group.subjects.rows)), (Input("tuned", weights),), weights)]
