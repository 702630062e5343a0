"""The reference of the language, docs/language.md and docs/language/, made from the models' own descriptions.

`make docs` writes it again; a test fails while it is out of date. Without a folder
`python -m traitgraph.specs.schema.reference` prints all of it, with what the plug-ins of this environment add.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from traitgraph.specs.composition.arms import ARM_KEYS
from traitgraph.specs.fields import base
from traitgraph.specs.fields.axes import CountRange, LogEnds, NumberAxis, StepRange
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.pydantic_errors import keys_of
from traitgraph.specs.fields.references import PresetOr, Reference
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.source.codes import CODES
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.library import GROUPS
from traitgraph.specs.study.analyses import ANALYSES
from traitgraph.specs.study.benchmark_list import BenchmarkList
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.contexts import ContextFile, ContextText
from traitgraph.specs.study.data import DATA_FORMS, Decoding, Expert, GeneratedDataSpec, Generation
from traitgraph.specs.study.filters import FILTER_KEYS, Filter, When
from traitgraph.specs.study.forms import Forms, Shuffled, Template
from traitgraph.specs.study.judges import JUDGES
from traitgraph.specs.study.merge_methods import MERGE_METHODS
from traitgraph.specs.study.method import STEERING_OPERATORS, Method
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.models import MODEL_FORMS, Onto
from traitgraph.specs.study.prompts import PROMPT_STYLES
from traitgraph.specs.study.study import HEAD, Arm, Study, Wandb
from traitgraph.specs.study.training import TRAININGS, Lora, Sampling, Validation
from traitgraph.specs.study.vocabulary import VOCABULARIES, Pole, TraitWords, Vocabulary

INTRODUCTION = Path(__file__).with_name("introduction.md")


def reference() -> str:
    """The whole reference as Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def pages() -> dict[str, str]:
    """The reference as a page that leads to one page for each topic: file name -> Markdown."""
    front, *topics = re.split(r"^## ", reference(), flags=re.MULTILINE)
    made: dict[str, str] = {}
    for topic in topics:
        title, _, text = topic.partition("\n")
        name = f"language/{title.lower().replace(' ', '-')}.md"
        made[name] = f"# {title}\n" + text.replace("\n### ", "\n## ").rstrip() + "\n"
        sections = re.findall(r"^### (.*)", text, flags=re.MULTILINE)
        links = (f"[{section}]({name}#{section.replace('`', '').replace(' ', '-').lower()})" for section in sections)
        front += f"## {title}\n\n[{title}]({name})" + "".join(f" · {link}" for link in links) + "\n\n"
    return {"language.md": front.rstrip() + "\n", **made}


def write_pages(folder: Path) -> None:
    """Write the pages into a folder of documents, and remove those of topics that are gone."""
    texts = pages()
    for old in (folder / "language").glob("*.md"):
        old.unlink()
    (folder / "language").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _lines() -> Iterator[str]:
    yield INTRODUCTION.read_text(encoding="utf-8")
    yield "## Keys of a study\n"
    yield "Every key of an arm may stand here as well, as the default of all arms.\n"
    yield from _table(_rows(Study, HEAD))
    yield _row("arms", "mapping: name -> arm", "", "The arms; a study without them is one arm.")
    yield from (
        _row(key, f"list of {_words(model.__name__)}s", "", about) for key, (model, about) in FILTER_KEYS.items()
    )
    yield "\n## Keys of an arm\n"
    yield from _table(_rows(Arm, ARM_KEYS))
    yield "\n## Axes\n"
    yield from _models((StepRange, CountRange, LogEnds))
    yield "## Vocabularies\n"
    yield "A preset's name, `{preset: NAME, levels: ...}`, or these keys in place ([how](../vocabulary.md)).\n"
    if VOCABULARIES.names():
        yield f"Of packages: {_listed(VOCABULARIES.names())}.\n"
    yield from _models((Vocabulary, TraitWords, Pole))
    yield "## Contexts\n"
    yield "A mapping from names to null, to these keys, or to a list of names; or a file of them "
    yield "([how](../patterns.md#contexts-what-stands-around-a-subject)).\n"
    yield from _models((ContextText, ContextFile))
    yield "## Methods\n"
    yield from _registry(METHODS, skip="prompt")
    yield "## Steering operators\n"
    yield from _registry(STEERING_OPERATORS)
    yield "## Prompts\n"
    yield "`method: {kind: prompt, style: ...}` makes subjects of the base; the key `prompt` shows the same texts to"
    yield "tuned, merged and steered subjects.\n"
    yield from _registry(PROMPT_STYLES)
    yield "## Training\n"
    yield from _registry(TRAININGS)
    yield from _models((Lora, Validation))
    yield "## Merge methods\n"
    yield from _registry(MERGE_METHODS)
    yield from _models((Onto,))
    yield "## Models\n"
    yield from _models(MODEL_FORMS)
    yield "## Data\n"
    yield from _models((*DATA_FORMS, GeneratedDataSpec, Generation, Expert, Decoding))
    yield "## Benchmarks\n"
    yield f"Names that need no mapping: {_listed((*questionnaire_names(), *LM_EVAL_TASKS))}.\n"
    yield from _registry(BENCHMARKS)
    yield from _models((Forms, Shuffled, Template, *(judge for _, judge in JUDGES.items()), Sampling))
    yield "## Analyses\n"
    yield from _registry(ANALYSES)
    yield "## Holes in the product\n"
    yield from _models((Filter, When))
    yield "## Cluster and tracking\n"
    yield from _models((Cluster, Wandb))
    yield "## Presets of the library\n"
    yield from (f"- `{group}`: {_listed(names)}" for group in GROUPS if (names := ReadContext().names(group)))
    yield "\n## Codes of messages\n"
    yield from (f"- **{code}** {title}. {text}" for code, (title, text) in CODES.items())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _registry(registry: Registry[Any], skip: str = "") -> Iterator[str]:
    """A section for each model, after one for the keys that all of them have."""
    models = {name: model for name, model in registry.items() if name != skip}
    common = _common(models.values()) if len(models) > 1 else []
    if common:
        yield f"### every {registry.noun}\n"
        yield from _table(_rows(next(iter(models.values())), common))
        yield ""
    for name, model in models.items():
        more = ""
        if issubclass(model, Method) and model.uses:
            more = f"Uses {_listed(key for key in ARM_KEYS if key in model.uses)}; needs {_listed(model.needs)}."
        yield from _section(f"`{name}`", model, more, common)


def _common(models: Iterable[type[Spec]]) -> list[str]:
    """Keys that mean the same in every model, without the tag."""
    first, *others = (
        [(key, each.description, each.default) for key, each in keys_of(model).items()] for model in models
    )
    return [about[0] for about in first if all(about in each for each in others)]


def _models(models: Iterable[type[Spec]]) -> Iterator[str]:
    for model in models:
        yield from _section(_words(model.__name__.removesuffix("Spec")), model)


def _words(name: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return {"log ends": "log range", "api judge": "API judge"}.get(spaced, spaced)


def _section(title: str, model: type[Spec], more: str = "", told: Iterable[str] = ()) -> Iterator[str]:
    yield f"### {title}\n"
    about = (model.__doc__ or "").strip().split("\n\n")[0]
    yield " ".join([*about.split(), *more.split()]) + "\n"
    rows = list(_rows(model, [key for key in keys_of(model) if key not in told]))
    if rows:
        yield from _table(rows)
        yield ""


def _table(rows: Iterable[str]) -> Iterator[str]:
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    yield from rows


def _rows(model: type[Spec], keys: Iterable[str]) -> Iterator[str]:
    schema = model.model_json_schema(mode="validation")
    for key in keys:
        field = schema["properties"][key]
        if "const" in field:
            continue
        yield _row(key, _type(field), _default(key, field, schema), field.get("description", ""))


def _row(key: str, kind: str, default: str, about: str) -> str:
    cells = (f"`{key}`", kind, default, about)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " / ") for cell in cells) + " |"


def _default(key: str, field: dict[str, Any], schema: dict[str, Any]) -> str:
    if key in schema.get("required", ()):
        return "required"
    value = field.get("default")
    if value in (None, [], {}, ""):
        return ""
    if isinstance(value, dict):
        return f"`{value['kind']}`" if [*value] == ["kind"] else "its defaults"
    if isinstance(value, list):
        return ", ".join(f"`{item['kind'] if isinstance(item, dict) else item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false", "null": "null"}


def _type(field: dict[str, Any]) -> str:
    """What a value looks like, in a few words."""
    match field:
        case {base.FORM: BenchmarkList()}:
            return "benchmarks"
        case {base.FORM: Choice(registry=registry)}:
            return registry.noun
        case {base.FORM: Reference(noun=noun, many=many)}:
            return f"{noun}, or several" if many else noun
        case {base.FORM: PresetOr(noun=noun)}:
            return noun
        case {base.FORM: NumberAxis() as axis}:
            return " ".join([f"axis of {TYPES[axis.item]}s", *_bounds(axis.bounds())])
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"const": word}:
            return f"`{word}`"
        case {"$ref": str() as name}:
            return _words(name.rsplit("/", 1)[-1])
        case {"anyOf": forms}:
            lists = [form for form in forms if form.get("type") == "array"]
            if lists and {"const": "all"} in forms:
                return f"`all`, one or several of {_type(lists[0]['items'])}"
            return " or ".join(dict.fromkeys(map(_type, forms)))
        case {"type": "array"}:
            return f"list of {_type(field.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict() as inner}:
            keys = _type(field["propertyNames"]) if "propertyNames" in field else "text"
            return f"mapping: {keys} -> {_type(inner)}"
        case {"type": "object"}:
            return "mapping"
        case {"type": list() as kinds}:
            return " or ".join(TYPES[each] for each in kinds)
    return " ".join([TYPES.get(str(field.get("type")), "value"), *_bounds(field)])


def _bounds(field: dict[str, Any]) -> list[str]:
    return [f"{sign} {number_text(field[name])}" for name, sign in BOUNDS.items() if name in field]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_pages(Path(sys.argv[1]))
    else:
        print(reference(), end="")
