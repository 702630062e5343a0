"""Render the texts of conditions by chat templates that lie on this machine: does each reach the model? No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir.ir import Stage
from traitgraph.runtime.models.chat import (
    TEMPLATE_VARIABLES,
    ChatTemplateError,
    Message,
    PromptMessage,
    heard,
    messages,
)
from traitgraph.specs.jobs.refs import FolderModel
from traitgraph.specs.source.diagnostics import Diagnostic, error, warning

from .preflight import Sample

Render = Callable[[list[Message]], str]


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
        for name in ("prompt", "persona", "high", "low"):
            told: Any = stage.table[name].values if name in stage.table else ()
            yield from (PromptMessage(each.system, each.place or "system") for each in told if each)
    if "training" in template and template["training"].instruction:
        yield PromptMessage(template["training"].instruction, template["training"].instruction_place or "system")


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
