"""`traitgraph check SPEC`: every fault at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from traitgraph.runtime.jobs.locations import PACKAGE_PREFIX
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, has_errors, render_json, render_text, warning
from traitgraph.specs.source.library import LIBRARY
from traitgraph.specs.study.analyses import ANALYSES, VectorSimilarity
from traitgraph.specs.study.benchmarks import (
    BENCHMARKS,
    Linguistic,
    LmEval,
    OpenQuestions,
    Questionnaire,
    ReplyContrast,
)
from traitgraph.specs.study.data import HubDataSpec
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.models import LocalModelSpec, PackagedModelSpec
from traitgraph.specs.study.study import Arm, Study

from .options import add_json, add_spec, same_call, study_of
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
        diagnostics += [*_not_yet(study), *_missing_packages(study), *_data_faults(study)]
        diagnostics += [*template_faults(study), *_fixed_shots(study)]
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


def _is_ours(arm: Arm) -> bool:
    """Whether all that an arm asks for is of this package, and so can be run: the compiler need not be loaded then."""
    return (
        arm.method.kind in METHODS.builtin
        and all(each.kind in BENCHMARKS.builtin for each in arm.benchmarks)
        and all(each.kind in ANALYSES.builtin for each in arm.analyses)
    )


def _not_yet(study: Study) -> list[Diagnostic]:
    """A warning for each thing that the study asks for and no run can do yet."""
    if all(map(_is_ours, study.resolved_arms())):
        return []
    from traitgraph.api.preflight import arms_without_runtime

    found = []
    for what, arms in arms_without_runtime(study).items():
        more = f" and {len(arms) - SHOWN_ARMS} more" if len(arms) > SHOWN_ARMS else ""
        hint = f"in {len(arms)} of {len(study.arms)} arms: {', '.join(arms[:SHOWN_ARMS])}{more}"
        found.append(warning("TG211", f"this can be planned but not run yet: {what}", hint=hint))
    return found


def _missing_packages(study: Study) -> list[Diagnostic]:
    """A warning for each package that a run would miss here."""
    models = {model for arm in study.resolved_arms() for model in arm.model if isinstance(model, PackagedModelSpec)}
    if not (lacking := {f"{PACKAGE_PREFIX}{model.package}/{model.file}" for model in models if not model.location()}):
        return []
    from traitgraph.api.preflight import package_faults

    return [warning("TG036", fault) for fault in package_faults(sorted(lacking))]


def _reads_files(arm: Arm) -> bool:
    """Whether an arm reads dialogues, questions, a questionnaire, a lexicon or a matrix from files of the user's."""
    if any(isinstance(each, Linguistic) or (isinstance(each, LmEval) and each.folder) for each in arm.benchmarks):
        return True
    if not all(isinstance(each, VectorSimilarity) for each in arm.analyses):
        return True
    contrasts = [each.data for each in arm.benchmarks if isinstance(each, ReplyContrast)]
    questions = [each.questions for each in arm.benchmarks if isinstance(each, OpenQuestions)]
    data = [each for each in (*arm.data, *contrasts, *questions) if each is not None]
    items = [Path(each.items) for each in arm.benchmarks if isinstance(each, Questionnaire)]
    local = not all(isinstance(each, HubDataSpec) for each in data)
    return local or not all(path.is_relative_to(LIBRARY) for path in items)


def _data_faults(study: Study) -> list[Diagnostic]:
    """The faults of the study's own files: no run of it would start."""
    if not any(map(_reads_files, study.resolved_arms())):
        return []
    from traitgraph.api.data_check import study_data_faults

    return study_data_faults(study)


def template_faults(study: Study) -> list[Diagnostic]:
    """Conditions whose text the chat template of a model's folder would move, or not show the model."""
    if not any(isinstance(model, LocalModelSpec) for arm in study.resolved_arms() for model in arm.model):
        return []
    from traitgraph.api.template_check import template_faults as found

    return found(study)


def _fixed_shots(study: Study) -> list[Diagnostic]:
    """A warning for each task that keeps its own number of worked examples."""
    if not any(isinstance(each, LmEval) and each.shots for arm in study.resolved_arms() for each in arm.benchmarks):
        return []
    from traitgraph.api.preflight import fixed_shots

    return [warning("TG214", text) for text in fixed_shots(study)]


def _read(options: argparse.Namespace) -> tuple[Study | None, list[Diagnostic]]:
    if options.multirun:
        try:
            return study_of(options), []
        except SpecError as problem:
            return None, list(problem.diagnostics)
    document, diagnostics = compose(options.spec, options.overrides)
    study, found = validate(document) if document is not None else (None, [])
    return study, diagnostics + found
