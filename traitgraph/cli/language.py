"""Commands about the language of specs: write a first one, find its faults, print the schema."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path

from traitgraph.api.calls import UsageError, colour_wanted, say
from traitgraph.specs.source.diagnostics import has_errors, render_json, render_text

from .options import same_call
from .output import print_json, write_whole


def init_arguments(parser: argparse.ArgumentParser) -> None:
    """[NAME] [--folder DIR]."""
    parser.add_argument("name", nargs="?", default="study", metavar="NAME", help="name of the study (default: study)")
    parser.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where to write (default: here)")


def do_init(options: argparse.Namespace) -> int:
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


def do_check(options: argparse.Namespace) -> int:
    """Print all diagnostics; 0 when the spec can be used, else 2."""
    from traitgraph.api.checking import read_and_check

    study, diagnostics = read_and_check(options.spec, options.overrides, sweep=options.multirun)
    if options.json:
        print_json(render_json(diagnostics))
    elif diagnostics:
        sys.stderr.write(render_text(diagnostics, colour_wanted()))
    if has_errors(diagnostics) or study is None:
        return 2
    if not options.json:
        arms = f"{len(study.arms)} arm" + ("s" if len(study.arms) > 1 else "")
        number = len(diagnostics)
        faults = f"no errors, {number} warning{'s' * (number > 1)}" if diagnostics else "no faults"
        say(f"{options.spec}: {faults} ({arms})\nnext: {same_call('plan', options)}")
    return 0


def do_schema(options: argparse.Namespace) -> int:
    """Print the schema, with the descriptions and defaults of every key, plugins included."""
    from traitgraph.specs.schema.schema import study_schema

    print_json(study_schema())
    return 0
