"""Versions of the libraries that run jobs, as installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from traitgraph.runtime.store.artifacts import LIBRARIES


def installed_versions() -> dict[str, str]:
    """Library -> version; what is not installed is left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
