"""Where a run is mirrored for watching. Nothing here changes a result, and nothing is read back from there."""

from typing import Literal

from pydantic import Field

from .spec import Spec


class Wandb(Spec):
    """Weights & Biases. Offline by default: compute nodes often have no network, and results never depend on it."""

    project: str = Field(min_length=1, description="Project that the runs are listed under.")
    entity: str | None = Field(None, description="Team or user; absent: the default of the account.")
    mode: Literal["offline", "online"] = Field("offline", description="offline: written to disk, synchronised later.")
    tags: tuple[str, ...] = Field((), description="Labels of every run.")


class Tracking(Spec):
    """Trackers that mirror the run."""

    wandb: Wandb | None = Field(None, description="Mirror results to Weights & Biases.")
