"""Where a run is mirrored for watching. Nothing here changes a result, and nothing is read back from there."""

from typing import Annotated, Literal

from pydantic import Field

from .spec import Spec

Tag = Annotated[str, Field(min_length=1, max_length=64)]
"""The service refuses longer ones, and of an offline run only when it is sent."""


class Wandb(Spec):
    """Weights & Biases. Offline by default: compute nodes often have no network, and results never depend on it."""

    project: str = Field(
        min_length=1, max_length=128, pattern=r"^[^/\\#?%:]*$", description="Project that the runs are listed under."
    )
    entity: str | None = Field(None, max_length=128, description="Team or user; absent: the default of the account.")
    mode: Literal["offline", "online"] = Field("offline", description="offline: written to disk, synchronised later.")
    tags: tuple[Tag, ...] = Field((), description="Labels of every run, of at most 64 characters each.")


class Tracking(Spec):
    """Trackers that mirror the run."""

    wandb: Wandb | None = Field(None, description="Mirror results to Weights & Biases.")
