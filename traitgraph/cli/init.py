"""`traitgraph init NAME`: write a first spec and the JSON Schema that editors check it with."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

from .output import UsageError, say, write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[NAME] [--folder DIR]."""
    parser.add_argument("name", nargs="?", default="study", metavar="NAME", help="name of the study (default: study)")
    parser.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where to write (default: here)")


def run(options: argparse.Namespace) -> int:
    """Write NAME.yaml and traitgraph.schema.json; never over a spec that is there."""
    from traitgraph.specs.schema.schema import SCHEMA_FILE, starter_spec, study_schema

    name = re.sub(r"\.ya?ml$", "", options.name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise UsageError(f"not a name for a study: {options.name!r}; use letters, digits, '-', '_' and '.'")
    spec = options.folder / f"{name}.yaml"
    if spec.exists():
        raise UsageError(f"{spec} is there already; choose another name")
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(f"cannot make {options.folder}: {problem.strerror}") from problem
    write_whole(options.folder / SCHEMA_FILE, json.dumps(study_schema(), indent=1, default=str) + "\n")
    write_whole(spec, starter_spec(name))
    say(f"wrote {spec} and {options.folder / SCHEMA_FILE}\nnext: {shlex.join(['traitgraph', 'plan', str(spec)])}")
    return 0
