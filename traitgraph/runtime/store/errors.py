"""What a store says when it cannot do what was asked; the command line tells it without loading a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitgraph.specs.jobs.params import JobRow


class HubError(OSError):
    """Something of the hub could not be read; the message begins with its name."""


class StoreError(Exception):
    """The store cannot do what was asked.

    StoreError
    +- MissingArtifactError     not there
    +- DamagedArtifactError     was there, did not verify, has been moved away
    +- OtherParametersError     there, but made with other parameters
    +- OtherVersionError        there, but written by a version of the program that this one cannot read
    +- StoreFullError           no room on the disk
    """


class MissingArtifactError(StoreError):
    """No artifact is published under this key."""


class DamagedArtifactError(StoreError):
    """An artifact did not verify; it was moved to STORE/damaged and will be built again when it is needed.

    `row` is the job that made it, when its manifest was still whole: enough to build it again.
    """

    def __init__(self, message: str, row: JobRow | None) -> None:
        super().__init__(message)
        self.row = row


class OtherParametersError(StoreError):
    """Two different jobs have the same key: a fault of the program or a store edited by hand."""


class OtherVersionError(StoreError):
    """An artifact is whole and of a form that this version does not know; it stays where it is."""


class StoreFullError(StoreError):
    """The disk or the quota is full; nothing was published."""
