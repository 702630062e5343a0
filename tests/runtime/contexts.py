"""Contexts of job functions in tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.specs.source.hashing import digest_path

MakeContext = Callable[..., JobContext]


def located(context: JobContext, path: Path) -> JobContext:
    """The context that finds a file of this content here."""
    return replace(context, locations={**context.locations, digest_path(path): str(path)})
