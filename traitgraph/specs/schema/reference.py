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
from traitgraph.specs.fields.axes import CountRange, LogEnds, StepRange
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.pydantic_errors import keys_of
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.source.codes import CODES
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.library import GROUPS
from traitgraph.specs.study.analyses import ANALYSES
from traitgraph.specs.study.benchmarks import (
    BENCHMARKS,
    LM_EVAL_TASKS,
    questionnaire_names,
)
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.data import DATA_FORMS
from traitgraph.specs.study.filters import Filter, When
from traitgraph.specs.study.generation import Decoding, Expert, GeneratedDataSpec, Generation
from traitgraph.specs.study.judges import JUDGES
from traitgraph.specs.study.merge_methods import MERGE_METHODS
from traitgraph.specs.study.method import Method
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.models import MODEL_FORMS, Onto
from traitgraph.specs.study.prompts import PROMPT_STYLES
from traitgraph.specs.study.steering_operators import STEERING_OPERATORS
from traitgraph.specs.study.study import Arm, Study, Wandb
from traitgraph.specs.study.training import TRAININGS, Lora, Sampling, Validation

INTRODUCTION = """\
# The language of a study

Made from the sources by `make docs`; a test keeps it current.

A study is one YAML file. Its keys are the defaults of every arm; an arm is a named block that replaces some of them
(`train` and `sampling` are merged key by key, every other key is replaced whole). A study without `arms` is one arm.

- An **axis** is a value, a list, or a range: `0.5`, `[0, 0.5, 1]`, `{from: 0.1, to: 2.0, step: 0.1}` (exact decimals:
  20 values), `{from: 0, to: 1, count: 5}`, `{log: {from: 0.01, to: 100, count: 5}}`; a list may hold ranges. The
  subjects of an arm are the product of the axes that its method uses.
- `zip`, `when`, `include` and `exclude` make holes in the product, or add to it. Each concerns the arms that have the
  axes it names; a composed subject matches when one of its vectors has the trait, the level and the alpha.
- A **preset** is a file `GROUP/NAME.yaml` beside the spec or in the library. Its name stands for its content, and
  `{preset: NAME, key: value}` changes parts of it, mappings in it key by key.
- Relative **paths** start at the folder of the spec. `owner/name` is a hub id, `./name` a folder.
- `α` and `γ` are other spellings of `alpha` and `gamma`, in files only.
- No key is ever ignored: unknown keys, options that nothing uses and values given twice are errors.
- Numbers that a paper does not state have no default: they must be given.
- Composition is Hydra's: a `defaults:` list, `key=value`, `+key=value` and `~key` on the command line, `-m` for sweeps.
  Its arms are named after what is swept, `vector+alpha=0.5`; `--select arm=alpha=0.5` takes those of one value. An arm
  that the sweep does not change keeps its name and is there once. Values that make the same study twice, and an
  override that a later one takes back, are errors.
"""


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
    yield INTRODUCTION
    yield "## Keys of a study\n"
    yield "Every key of an arm may stand here as well, as the default of all arms.\n"
    yield from _table(_rows(Study, ("study", "description", "cluster", "tracking")))
    yield _row("arms", "mapping: name -> arm", "", "The arms; a study without them is one arm.")
    yield _row("include", "list of filters", "", "Points beside the product of the axes.")
    yield _row("exclude", "list of filters", "", "Points of the product that are left out.")
    yield _row("when", "list of whens", "", "Conditions on the points of the product.") + "\n"
    yield "## Keys of an arm\n"
    yield from _table(_rows(Arm, ARM_KEYS))
    yield "\n## Axes\n"
    yield from _models((StepRange, CountRange, LogEnds))
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
    yield from _models((*(judge for _, judge in JUDGES.items()), Sampling))
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
    common = _common(list(models.values())) if len(models) > 1 else []
    if common:
        yield f"### every {registry.noun}\n"
        yield from _table(_rows(next(iter(models.values())), common))
        yield ""
    for name, model in models.items():
        yield from _section(f"`{name}`", model, _uses(model), common)


def _common(models: list[type[Spec]]) -> list[str]:
    """Keys that mean the same in every model, without the tag."""
    first, *others = (keys_of(model) for model in models)
    about = {key: (field.description, field.default) for key, field in first.items()}
    alike = [key for key in about if all(key in each for each in others)]
    return [key for key in alike if all((each[key].description, each[key].default) == about[key] for each in others)]


def _models(models: Iterable[type[Spec]]) -> Iterator[str]:
    for model in models:
        yield from _section(_words(model.__name__.removesuffix("Spec")), model, "")


def _words(name: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return {"log ends": "log range", "api judge": "API judge"}.get(spaced, spaced)


def _uses(model: type[Spec]) -> str:
    if not issubclass(model, Method) or not model.uses:
        return ""
    return f"Uses {_listed(key for key in ARM_KEYS if key in model.uses)}; needs {_listed(model.needs)}."


def _section(title: str, model: type[Spec], more: str, told: Iterable[str] = ()) -> Iterator[str]:
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
        return ", ".join(f"`{_name(item)}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _name(item: object) -> object:
    return item.get("kind", item) if isinstance(item, dict) else item


BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false", "null": "null"}


def _type(field: dict[str, Any]) -> str:
    """What a value looks like, in a few words."""
    if "x-choice" in field:
        return str(field["x-choice"].registry.noun)
    if "x-reference" in field:
        return f"{field['x-reference'].noun}, or several" if field["x-reference"].many else field["x-reference"].noun
    if "x-preset-or" in field:
        return str(field["x-preset-or"].noun)
    if "x-benchmarks" in field:
        return "benchmarks"
    if "x-axis" in field:
        bounds = _bounds(field["x-axis"].bounds())
        return " ".join(["axis of", "whole numbers" if field["x-axis"].item == "integer" else "numbers", *bounds])
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return _words(field["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in field:
        return _either(field["anyOf"])
    return _plain(field)


def _either(forms: list[dict[str, Any]]) -> str:
    words = [_type(form) for form in forms]
    lists = [form for form in forms if form.get("type") == "array"]
    if lists and {"const": "all"} in forms:
        return f"`all`, one or several of {_type(lists[0]['items'])}"
    return " or ".join(dict.fromkeys(words))


def _plain(field: dict[str, Any]) -> str:
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object":
        inner = field.get("additionalProperties")
        keys = _type(field["propertyNames"]) if "propertyNames" in field else "text"
        return f"mapping: {keys} -> {_type(inner)}" if isinstance(inner, dict) else "mapping"
    if isinstance(kind, list):
        return " or ".join(TYPES[each] for each in kind)
    return " ".join([TYPES.get(str(kind), "value"), *_bounds(field)])


def _bounds(field: dict[str, Any]) -> list[str]:
    return [f"{sign} {number_text(field[name])}" for name, sign in BOUNDS.items() if name in field]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_pages(Path(sys.argv[1]))
    else:
        print(reference(), end="")
