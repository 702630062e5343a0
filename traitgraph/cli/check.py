"""`traitgraph check SPEC`: every fault at once."""

from __future__ import annotations

import argparse
import sys

from traitgraph.api.calls import colour_wanted
from traitgraph.specs.source.diagnostics import has_errors, render_json, render_text

from .options import add_json, add_spec, same_call
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--json]."""
    add_spec(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
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
