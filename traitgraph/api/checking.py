"""Every fault of a study that can be told without running it: of its text, its files, and what a run would miss.

Texts of conditions are rendered by chat templates that lie on this machine: does each reach the model? No torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir.ir import Stage
from traitgraph.runtime.jobs.locations import PACKAGE_PREFIX
from traitgraph.runtime.models.chat import (
    TEMPLATE_VARIABLES,
    ChatTemplateError,
    Message,
    PromptMessage,
    heard,
    messages,
)
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.jobs.params import NeuronsParams, Prompt
from traitgraph.specs.jobs.refs import FolderModel
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, error, has_errors, warning
from traitgraph.specs.study.models import PackagedModelSpec
from traitgraph.specs.study.study import Study

from .data_check import data_forms, study_data_faults
from .preflight import Sample, arms_without_runtime, fixed_shots, package_faults, sample_arms

SHOWN_ARMS = 8

Render = Callable[[list[Message]], str]


def check(study: Study | str | Path, overrides: Sequence[str] = ()) -> list[Diagnostic]:
    """Every fault and warning of a study, or of the file of one read with some overrides. It can run without errors.

    Of a `Study` only what was not told when it was loaded.
    """
    return list(_faults_of(study)) if isinstance(study, Study) else read_and_check(Path(study), overrides)[1]


def read_and_check(
    path: Path, overrides: Sequence[str], *, sweep: bool = False
) -> tuple[Study | None, list[Diagnostic]]:
    """The study of a file, or None where it cannot be used, and all that is to be said of it."""
    study, diagnostics = None, list[Diagnostic]()
    if sweep:
        try:
            study = load_sweep(path, overrides)
        except SpecError as problem:
            diagnostics = list(problem.diagnostics)
    else:
        document, diagnostics = compose(path, overrides)
        study, found = validate(document) if document is not None else (None, [])
        diagnostics = diagnostics + found
    if study is not None and not has_errors(diagnostics):
        diagnostics += _faults_of(study)
    return study, diagnostics


def forms_told(study: Study) -> list[str]:
    """As what form the rows of a study without faults are read, a line for each file that is not plain."""
    return data_forms(sample_arms(study))


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


# ---------------------------------------------------------------- texts of conditions


def template_faults(arms: Iterable[Sample]) -> list[Diagnostic]:
    """A word for each model whose template moves the text of a condition, an error where one is lost; each once."""
    texts: dict[str, dict[PromptMessage, None]] = {}
    for _, builder in arms:
        for stage in builder.stages:
            if isinstance(model := stage.template.get("model"), FolderModel):
                said = texts.setdefault(builder.resolver.locations[model.digest], {})
                said |= dict.fromkeys(_texts(stage))
    renders = [(render, where) for where in texts if (render := _renderer(Path(where)))]
    found = (_fault(render, text, where) for render, where in renders for text in texts[where])
    return list(dict.fromkeys(filter(None, found)))


def _texts(stage: Stage) -> Iterator[PromptMessage]:
    """The texts that precede what the model of a stage is asked."""
    template: Any = stage.template
    if getattr(template.get("benchmark"), "chat_template", True):
        for name in ("prompt", "persona", *NeuronsParams.row_fields[1:]):
            told: Any = stage.table[name].values if name in stage.table else ()
            yield from map(PromptMessage.of, filter(None, told))
    if "training" in template and template["training"].instruction:
        training = template["training"]
        yield PromptMessage.of(Prompt(system=training.instruction, place=training.instruction_place))


def _fault(render: Render, text: PromptMessage, model: str) -> Diagnostic | None:
    asked = messages("?", text)
    try:
        if heard(asked, render)[0] is asked:
            return None
    except ChatTemplateError as fault:
        return error("TG039", f"{model}: {fault}", hint="give another text, or a model whose template shows it")
    except Exception:  # what only transformers has, and refusals of a form of its own: the run will tell
        return None
    what = "has no place for a system message: the text of a condition stands at the head of the user's message"
    hint = "`place: user` (for `train`: `instruction_place: user`) says so, or take a model with a system role"
    return warning("TG038", f"the chat template of {model} {what}", hint=hint)


def _renderer(folder: Path) -> Render | None:
    """The template of a model's folder; None where there is none, or none that can be read here."""
    try:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        whole = folder / "chat_template.jinja"
        text = whole.read_text(encoding="utf-8") if whole.is_file() else config["chat_template"]
        options = {"trim_blocks": True, "lstrip_blocks": True, "extensions": ["jinja2.ext.loopcontrols"]}
        template = ImmutableSandboxedEnvironment(**options).from_string(text, {"raise_exception": _refuse})
    except Exception:  # no jinja2, no such file, or a template that only transformers reads
        return None
    known = TEMPLATE_VARIABLES | {name: value for name, value in config.items() if isinstance(value, str)}
    return lambda said: template.render(known, messages=said, add_generation_prompt=True)


def _refuse(message: str) -> str:
    from jinja2 import TemplateError

    raise TemplateError(message)
