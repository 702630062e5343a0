"""Options that several commands share, and what they mean: the spec, its overrides, the store."""

from __future__ import annotations

import argparse
from pathlib import Path

DEFAULT_STORE = Path(".traitgraph")


def add_spec(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store DIR."""
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE, metavar="DIR", help="where results are kept (default: %(default)s)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document for machines")
