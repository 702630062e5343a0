"""Where presets lie: YAML files named `<group>/<name>.yaml`, beside the spec or in the library that ships with us.

A file beside the spec hides a file of the library with the same name. Any text may be given as a path, so nothing here
raises for one that the file system refuses (too long a name, a NUL, `~` with an unknown user): nothing is there. Knows
folders and names; must not know what a preset holds.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def from_folder(folder: Path, text: str) -> Path:
    """The absolute path of a text; a relative one counts from `folder`, `~` is the user's home."""
    try:
        return (folder / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):
        return folder / text


exists, is_file, is_folder = os.path.exists, os.path.isfile, os.path.isdir
"""Whether something, a file or a folder is there: unlike those of pathlib they refuse no path."""


def is_plain(path: Path) -> bool:
    """Whether a file or folder is there, and no pipe, device or socket: reading one may never end."""
    return is_file(path) or is_folder(path)


def package_folder(name: str) -> Path | None:
    """Where an installed package lies, without importing it; None where it is not installed."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return None
    places = found.submodule_search_locations if found else None
    return Path(places[0]) if places else None


def beside(path: Path, suffix: str | tuple[str, ...] = "") -> tuple[str, ...]:
    """Names of what lies in the folder of a path, in order: what could be meant where nothing is at the path."""
    try:
        names = sorted(item.name for item in path.parent.iterdir())
    except (OSError, ValueError):
        return ()
    return tuple(name for name in names if not name.startswith(".") and name.endswith(suffix))


HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$"
DIGEST = r"^[0-9a-f]{32}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""An environment variable, or an importable package."""

LIBRARY = Path(__file__).parents[1] / "library"


def user_folder() -> Path:
    """Where a user keeps what every spec of theirs may name: `$XDG_CONFIG_HOME/traitgraph`."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return from_folder(Path.home(), home or ".config") / "traitgraph"


GROUPS = ("model", "vocabulary", "data", "train", "sampling", "judge", "benchmark", "questionnaire", "cluster", "paper")
"""Groups of the library, in the order in which the documentation lists them."""


def search_folders(spec: Path) -> tuple[Path, ...]:
    """The folders that are searched for presets of this spec, the first one wins."""
    return (spec.parent, LIBRARY)


def find_preset(group: str, name: str, spec: Path) -> Path | None:
    """The file of a preset, or None; a name that would leave its folder is no preset."""
    if not name or ".." in Path(name).parts or Path(name).is_absolute() or "\0" in name:
        return None
    for folder in search_folders(spec):
        file = folder / group / f"{name}.yaml"
        if is_file(file):
            return file
    return None


def preset_names(group: str, spec: Path) -> tuple[str, ...]:
    """Every preset of a group, by name ('slurm/my-site' in a folder of it); empty when there is no such group."""
    groups = [folder / group for folder in search_folders(spec)]
    files = ((each, file) for each in groups for file in each.rglob("*.yaml"))
    return tuple(sorted({file.relative_to(each).with_suffix("").as_posix() for each, file in files}))


def group_exists(group: str, spec: Path) -> bool:
    """Whether some search folder has presets of this group."""
    return any(is_folder(folder / group) for folder in search_folders(spec))


def shown_path(file: Path) -> str:
    """The file as messages show it: one of ours from the package's folder on, any other as it was found."""
    return str(file.relative_to(LIBRARY.parents[2])) if file.is_relative_to(LIBRARY) else str(file)
