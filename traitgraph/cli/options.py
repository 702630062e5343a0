"""Options that several commands share, and what they mean: the spec, its overrides, the store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitgraph.specs.study import Study

DEFAULT_STORE = Path(".traitgraph")


def add_spec(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [-m]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")
    sweep = "sweep: key=a,b and key=range(...) give one study per value, all in one graph"
    parser.add_argument("-m", "--multirun", action="store_true", help=sweep)


def study_of(options: argparse.Namespace) -> Study:
    """The study that the words after the command mean. Raises SpecError with every fault."""
    if options.multirun:
        from traitgraph.specs.multirun import load_sweep

        return load_sweep(options.spec, options.overrides)
    from traitgraph.specs.validate import load_study

    return load_study(options.spec, options.overrides)


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store DIR."""
    parser.add_argument(
        "--store", type=Path, default=DEFAULT_STORE, metavar="DIR", help="where results are kept (default: %(default)s)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document for machines")
