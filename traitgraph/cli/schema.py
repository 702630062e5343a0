"""`traitgraph schema`: the JSON Schema of a spec, for editors."""

from __future__ import annotations

import argparse

from .output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(options: argparse.Namespace) -> int:
    """Print the schema, with the descriptions and defaults of every key, plugins included."""
    from traitgraph.specs.schema.schema import study_schema

    print_json(study_schema())
    return 0
