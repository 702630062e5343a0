"""Every fault of a study that can be told without running it: of its text, its files, and what a run would miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from traitgraph.runtime.jobs.locations import PACKAGE_PREFIX
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, has_errors, warning
from traitgraph.specs.study.models import PackagedModelSpec
from traitgraph.specs.study.study import Study

from .data_check import study_data_faults
from .preflight import arms_without_runtime, fixed_shots, package_faults, sample_arms
from .template_check import template_faults

SHOWN_ARMS = 8


def check(study: Study | str | Path, overrides: Sequence[str] = ()) -> list[Diagnostic]:
    """Every fault and warning of a study, or of the file of one read with some overrides. It can run without errors.

    Of a `Study` only what was not told when it was loaded.
    """
    return list(_faults_of(study)) if isinstance(study, Study) else read_and_check(Path(study), overrides)[1]


def read_and_check(
    path: Path, overrides: Sequence[str], *, sweep: bool = False
) -> tuple[Study | None, list[Diagnostic]]:
    """The study of a file, or None where it cannot be used, and all that is to be said of it."""
    study, diagnostics = _read(path, overrides, sweep)
    if study is not None and not has_errors(diagnostics):
        diagnostics += _faults_of(study)
    return study, diagnostics


def _read(path: Path, overrides: Sequence[str], sweep: bool) -> tuple[Study | None, list[Diagnostic]]:
    if sweep:
        try:
            return load_sweep(path, overrides), []
        except SpecError as problem:
            return None, list(problem.diagnostics)
    document, diagnostics = compose(path, overrides)
    study, found = validate(document) if document is not None else (None, [])
    return study, diagnostics + found


def _faults_of(study: Study) -> Iterator[Diagnostic]:
    """Parts that no run can do yet, packages that it would miss, data, texts of conditions, options without effect."""
    arms = list(sample_arms(study))
    for what, names in arms_without_runtime(arms).items():
        more = f" and {len(names) - SHOWN_ARMS} more" if len(names) > SHOWN_ARMS else ""
        hint = f"in {len(names)} of {len(study.arms)} arms: {', '.join(names[:SHOWN_ARMS])}{more}"
        yield warning("TG211", f"this can be planned but not run yet: {what}", hint=hint)
    models = {model for arm in study.resolved_arms() for model in arm.model if isinstance(model, PackagedModelSpec)}
    lacking = {f"{PACKAGE_PREFIX}{model.package}/{model.file}" for model in models if not model.location()}
    yield from (warning("TG036", fault) for fault in package_faults(sorted(lacking)))
    yield from study_data_faults(study, arms)
    yield from template_faults(arms)
    yield from (warning("TG214", text) for text in fixed_shots(study))
