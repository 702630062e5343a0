"""The functions that run jobs, found by the records of `specs/study/job_kinds.py` and imported on first use."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.specs.fields.registry import UnknownNameError
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.job_kinds import KINDS, JobParams, kind_of

JobFunction = Callable[[JobContext, JobParams], None]


class UnknownKindError(LookupError):
    """No record has the name of a kind of job, or what it names cannot be imported."""


@dataclass(frozen=True)
class RunnableKind:
    """The function of a kind, imported, with the model of its parameters."""

    name: str
    function: JobFunction
    params: type[JobParams]

    def validated(self, row: JobRow) -> JobParams:
        """Parameters of a row as the kind's model.

        Raises ValueError when they do not fit, when the row was written for another version of the kind, or when a
        default would take the place of what the row leaves out: work is only done under a key that says it.
        """
        if row.version != self.params.version:
            raise ValueError(
                f"job kind '{self.name}': the plan was made for version {row.version}, this program has version "
                f"{self.params.version}; plan again with the installed traitgraph"
            )
        params = self.params.model_validate(row.params)
        read = params.model_dump(mode="json", include=set(row.params))
        if differs := [name for name, value in row.params.items() if encode(value) != encode(read[name])]:
            raise ValueError(
                f"job kind '{self.name}': what the plan says of {', '.join(differs)} is not what this program reads; "
                "plan again with the installed traitgraph"
            )
        return params


def job_kind(name: str) -> RunnableKind:
    """The kind of this name. Raises UnknownKindError with the known names, or with what keeps it from being loaded."""
    try:
        kind = kind_of(name)
    except UnknownNameError as unknown:
        reasons = "".join(f"; {problem}" for problem in KINDS.problems if f"'{name}'" in problem)
        known = ", ".join(sorted(unknown.names))
        raise UnknownKindError(f"no runtime for job kind '{name}'; known kinds: {known}{reasons}") from None
    except TypeError as wrong:
        raise UnknownKindError(str(wrong)) from None
    module, _, function = kind.function.partition(":")
    try:
        run = typing.cast("JobFunction", getattr(import_module(module), function))
        return RunnableKind(name, run, kind.params)
    except (ImportError, AttributeError) as error:
        what = f"the runtime of job kind '{name}' ({kind.function}) cannot be imported: {error}"
        raise UnknownKindError(what) from error
