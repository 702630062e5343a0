"""Where presets lie: YAML files named `<group>/<name>.yaml`, beside the spec or in the library that ships with us.

A file beside the spec hides a file of the library with the same name. Knows folders and names; must not know what a
preset holds.
"""

from __future__ import annotations

from pathlib import Path

from .paths import is_file, is_folder

LIBRARY = Path(__file__).parent / "library"
GROUPS = ("model", "data", "train", "sampling", "judge", "benchmark", "questionnaire", "cluster", "paper")
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
