"""Every fault of a study that can be told without running it: of its text, its files, and what a run would miss.

Texts of conditions and conversations are rendered by chat templates that lie on this machine: does each reach the
model? No torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir.ir import Stage
from traitgraph.runtime.data.conversations import messages_of
from traitgraph.runtime.data.data_files import shown
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

from .data_check import Read, conversations, data_forms, study_data_faults
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
    found = data_forms(*_together(sample_arms(study)))
    return [f"{shown(Path(where))}: {words}" for where, words in found.items()]


def _together(arms: Iterable[Sample]) -> tuple[list[Stage], dict[str, str]]:
    """The stages of all arms, and where lies what they read."""
    builders = [builder for _, builder in arms]
    stages = [stage for builder in builders for stage in builder.stages]
    return stages, dict(chain.from_iterable(builder.resolver.locations.items() for builder in builders))


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
    files = Read(study)
    yield from study_data_faults(study, arms, files)
    yield from template_faults(arms, files)
    yield from (warning("TG214", text) for text in fixed_shots(study))


# ---------------------------------------------------------------- what chat templates show


def template_faults(arms: Iterable[Sample], files: Read | None = None) -> list[Diagnostic]:
    """A word for each model whose template moves what is said to it, an error where that is refused or lost; each once.

    Of the rows of small files one conversation of each sequence of roles; `files` has what was read of them.
    """
    stages, locations = _together(arms)
    texts: dict[str, dict[PromptMessage, None]] = {}
    for stage in stages:
        if isinstance(model := stage.template.get("model"), FolderModel):
            said = texts.setdefault(locations[model.digest], {})
            said |= dict.fromkeys(_texts(stage))
    asked = [(where, messages("?", text), "") for where in texts for text in texts[where]]
    spoken = conversations(stages, locations, Read() if files is None else files)
    asked += [(where, messages_of(said), f"{file}: ") for where, said, file in spoken]
    renders = {where: _renderer(Path(where)) for where in texts}
    found = (_fault(render, said, where, file) for where, said, file in asked if (render := renders[where]))
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


def _fault(render: Render, asked: list[Message], model: str, file: str) -> Diagnostic | None:
    """What a template does with what is asked: with the text of a condition, or with a conversation of a file."""
    from jinja2 import TemplateError

    try:
        if heard(asked, render)[0] is asked:
            return None
    except ChatTemplateError as fault:
        return error(
            "TG039", f"{file}{model}: {fault}", hint="say it otherwise, or take a model whose template shows it"
        )
    except Exception as fault:
        if type(fault) is not TemplateError:  # what only transformers has: the run will tell
            return None
        refused = f"{file}the chat template of {model} refuses {', '.join(each['role'] for each in asked)}: {fault}"
        return error("TG039", refused, hint="say it otherwise, or take a model whose template takes it")
    moved, hint = "the text of a condition", "`place: user` (for `train`: `instruction_place: user`) says so"
    if file:
        moved, hint = "that of a row", "write it there yourself"
    what = f"has no place for a system message: {moved} stands at the head of the user's message"
    repair = f"{hint}, or take a model with a system role"
    return warning("TG038", f"{file}the chat template of {model} {what}", hint=repair)


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
    words = {name: value for name, value in config.items() if isinstance(value, str)}
    known = {"tools": None, "documents": None, **TEMPLATE_VARIABLES, **words}
    return lambda said: template.render(known, messages=said, add_generation_prompt=True)


def _refuse(message: str) -> str:
    from jinja2 import TemplateError

    raise TemplateError(message)
