"""`traitgraph check SPEC`: every fault at once."""

from __future__ import annotations

import argparse
import sys

from traitgraph.specs.compose import compose
from traitgraph.specs.diagnostics import Diagnostic, SpecError, has_errors, render_json, render_text, warning
from traitgraph.specs.study import Study
from traitgraph.specs.validate import validate

from .options import add_json, add_spec, study_of
from .output import colour_wanted, print_json, say

SHOWN_ARMS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--json]."""
    add_spec(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print all diagnostics; 0 when the spec can be used, else 2."""
    study, diagnostics = _read(options)
    if study is not None and not has_errors(diagnostics):
        diagnostics += [*_not_yet(study), *_data_faults(study)]
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
        say(f"{options.spec}: {faults} ({arms})\nnext: traitgraph plan {options.spec}")
    return 0


def _not_yet(study: Study) -> list[Diagnostic]:
    """A warning for each thing that the study asks for and no run can do yet."""
    from traitgraph.launchers.runnable import arms_without_runtime

    found = []
    for what, arms in arms_without_runtime(study).items():
        more = f" and {len(arms) - SHOWN_ARMS} more" if len(arms) > SHOWN_ARMS else ""
        hint = f"in {len(arms)} of {len(study.arms)} arms: {', '.join(arms[:SHOWN_ARMS])}{more}"
        found.append(warning("TG211", f"this can be planned but not run yet: {what}", hint=hint))
    return found


def _data_faults(study: Study) -> list[Diagnostic]:
    """A warning for each fault of the study's own data: the spec is right, and no run of it would start."""
    from traitgraph.launchers.data_check import study_data_faults

    hint = "`plan` works without; `run` refuses it before anything starts"
    return [warning("TG212", fault, hint=hint) for fault in study_data_faults(study)]


def _read(options: argparse.Namespace) -> tuple[Study | None, list[Diagnostic]]:
    if options.multirun:
        try:
            return study_of(options), []
        except SpecError as problem:
            return None, list(problem.diagnostics)
    document, diagnostics = compose(options.spec, options.overrides)
    study, found = validate(document) if document is not None else (None, [])
    return study, diagnostics + found
