"""What others call is frozen: names and signatures of the library, options of every command, groups of plug-ins.

A change of it is meant, or it is none: write the goldens again with `python -m tests.api.test_surface`, and say it in
the changelog.
"""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import traitgraph
from traitgraph import plugins
from traitgraph.cli.main import COMMANDS, add_command

GOLDEN = Path(__file__).parents[1] / "golden" / "surface"

GROUP = re.compile(r'"(traitgraph\.[a-z_]+)"')


def library() -> Iterator[str]:
    """Each public name with its signature; of a class and of a module what it has."""
    for name in sorted(traitgraph.__all__):
        thing = getattr(traitgraph, name)
        if inspect.isclass(thing):
            yield f"class {name}: {', '.join(sorted(_members(thing)))}"
        elif inspect.ismodule(thing):
            yield f"module {name}: {', '.join(sorted(thing.__all__))}"
        else:
            yield name + re.sub(r"<function (\w+) at \w+>", r"\1", str(inspect.signature(thing)))


def _members(kind: type) -> set[str]:
    ours = [vars(each) for each in kind.__mro__ if each.__module__.startswith("traitgraph")]
    names = {name for each in ours for name in (*each, *each.get("__annotations__", ()))}
    return {name for name in names if not name.startswith(("_", "model_"))}


def command_line() -> Iterator[str]:
    """Each argument of each command: how it is written, what it takes, and what it is when it is left out."""
    for name in COMMANDS:
        parser = argparse.ArgumentParser(prog=name, add_help=False)
        add_command(name, parser)
        yield name
        for each in parser._actions:
            words = "|".join(each.option_strings) or each.metavar or each.dest
            choices = f" of {'|'.join(map(str, each.choices))}" if each.choices else ""
            number = "" if each.nargs is None else f" nargs {each.nargs}"
            need = " required" if each.required and each.option_strings else ""
            yield f"  {words}{choices}{number}{need} default {each.default}"


def plug_ins() -> Iterator[str]:
    """The groups of entry points that other packages register in, as the source names them, and what they import."""
    source = Path(traitgraph.__file__).parent
    texts = (path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    yield from sorted({each for text in texts for each in GROUP.findall(text)})
    yield from (f"traitgraph.plugins {name}" for name in dir(plugins))


SURFACES = {"library": library, "command_line": command_line, "plug_ins": plug_ins}


def text_of(surface: str) -> str:
    return "\n".join(SURFACES[surface]()) + "\n"


@pytest.mark.parametrize("surface", SURFACES)
def test_the_surface_is_the_golden_one(surface: str) -> None:
    assert text_of(surface) == (GOLDEN / f"{surface}.txt").read_text(encoding="utf-8")


def test_the_names_for_editors_are_the_names_that_are_found() -> None:
    """They stand twice: for type checkers, and in the table of what is loaded when."""
    told = re.findall(r"import \w+ as (\w+)", Path(traitgraph.__file__).read_text(encoding="utf-8"))
    assert sorted(told) == sorted(traitgraph.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        traitgraph.runn  # type: ignore[attr-defined]  # noqa: B018


LIGHT = """
import sys, traitgraph, traitgraph.merging
assert not {"pydantic", "yaml", "torch", "traitgraph.specs", "traitgraph.api"} & set(sys.modules)
traitgraph.load_study, traitgraph.check, traitgraph.plan, traitgraph.status, traitgraph.Store
assert not {"torch", "transformers", "numpy", "scipy", "matplotlib", "pandas"} & set(sys.modules)
"""


def test_a_name_is_loaded_when_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


if __name__ == "__main__":
    for each in SURFACES:
        (GOLDEN / f"{each}.txt").write_text(text_of(each), encoding="utf-8")
