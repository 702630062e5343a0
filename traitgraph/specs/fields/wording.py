"""Every message about a value of a spec: for each kind of fault a code, a sentence, and a repair.

Whoever finds a fault names its kind and the facts (`pydantic_errors.fault`); the sentence stands here alone. A test
walks every model of the language to prove the table complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple

from traitgraph.specs.source.diagnostics import near_hint
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.library import DIGEST, HUB_ID, LIBRARY, VARIABLE

SHOWN_FILES = 3
About = Mapping[str, Any]


class Wording(NamedTuple):
    """How one kind of fault reads: code, sentence and repair, filled from its facts; `at_key` marks the key."""

    code: str
    message: str
    hint: str | Callable[[About], str | None] | None = None
    at_key: bool = False

    def repair(self, about: About) -> str | None:
        """What to do, in words; None where nothing is to be said."""
        return self.hint.format(**about) if isinstance(self.hint, str) else self.hint and self.hint(about)


def _near(about: About) -> str | None:
    return near_hint(str(about.get("key", about.get("value", ""))), map(str, about.get("names", ())))


def _near_benchmark(about: About) -> str | None:
    if about.get("instead"):
        return str(about["instead"])
    value = str(about["value"])
    if about["noun"] == "benchmark" and value.endswith(".json"):
        return f"a questionnaire in a file: {{kind: questionnaire, items: {value}}}"
    hint = _near(about)
    task = "any other task of lm-eval: {kind: lm_eval, task: NAME}"
    return f"{hint}\n{task}" if about["noun"] == "benchmark" else hint


def _near_named(about: About) -> str | None:
    """What a name can be, where it can be more than a preset."""
    forms = {
        "model": "a hub id is `owner/name`, a folder starts with ./, a file ends in .gguf",
        "data set": "a hub id is `owner/name`, a file ends in .jsonl, .json, .csv or .parquet, a folder starts with ./",
        "context": "a context is null, {system: ..., user: ...}, or a list of names of others",
        "target of adapters": "modules stand in a list: [q_proj, v_proj]",
    }
    own = f"one of your own is a file {about['group']}/NAME.yaml beside the spec" if "group" in about else None
    near, noun = _near(about), str(about["noun"])
    if noun in ("trait", "level") and "facet_of" not in about and not (near or "").startswith("near"):
        own = _declared(noun, str(about["value"]))
    return "\n".join(line for line in (near, forms.get(noun), own) if line) or None


def _declared(noun: str, word: str) -> str:
    """How a study comes to a trait or level that its vocabulary has not."""
    if noun == "level":
        return "others are declared, such as: vocabulary: {preset: big-five, levels: {low: -1, medium: 0, high: 1}}"
    entry = re.compile(rf"^  {re.escape(word)}:$", flags=re.MULTILINE)
    having = [file.stem for file in sorted(LIBRARY.glob("vocabulary/*.yaml")) if entry.search(file.read_text("utf-8"))]
    if not having:
        return "others are declared, such as: vocabulary: {traits: {NAME: {}}}"
    return "\n".join(f"`vocabulary: {name}` has it" for name in having)


def _near_task(about: About) -> str:
    """Names that the folder defines, and what of it cannot be read."""
    names = _near(about) or "a definition is a file *.yaml with `task: NAME`, `group: NAME` or `tag: NAME`"
    return "\n".join((names, *about["unreadable"][:SHOWN_FILES]))


def _allowed(about: About) -> str | None:
    names = str(about["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    return _near({"value": about["value"], "names": names})


def _files_of(about: About) -> str | None:
    """The files in a folder that was given in the place of one."""
    names = [f"{str(about['value']).rstrip('/')}/{name}" for name in about["names"]]
    return f"give one of its files: {', '.join(names[:SHOWN_FILES])}" if names else None


def _quoted_number(about: About) -> str | None:
    text = about["input"]
    if not isinstance(text, str):
        return None
    if re.fullmatch(r"[0-9]+(_[0-9]+)+", text):
        return f"write {text.replace('_', '')}"
    share = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text)
    return f"write {number_text(Decimal(share[1]) / 100)}" if share else "a number stands without quotes"


def _quoted_axis(about: About) -> str:
    looks = isinstance(about["input"], str) and re.fullmatch(r"\s*[-+.]?[0-9].*", about["input"])
    return str(_quoted_number(about)) if looks else _NUMBERS


_OWN_NAME = "give a name of its own: {{{form}, name: {value}-2}}"
_NUMBERS = "give: a number, a list of numbers, or {from, to, step}"
_NAME = "a name has letters, digits and - _ ., and starts with a letter or digit"


def _shape(about: About) -> str:
    pattern = str(about["pattern"])
    if pattern == HUB_ID:
        return "a hub id is `owner/name`"
    if pattern == DIGEST:
        return "a digest has 32 hex digits"
    if pattern.startswith("^[^"):
        return f"without any of: {' '.join(pattern[3:-3].replace(chr(92) * 2, chr(92)))}"
    if pattern == VARIABLE:
        return "give the name of an environment variable: letters, digits and _"
    return _NAME if pattern.startswith(("^[A-Za-z0-9]", "^([A-Za-z0-9]")) else f"it must match {pattern}"


WORDINGS: dict[str, Wording] = {
    # keys
    "unknown_key": Wording("TG101", "unknown key '{key}'", _near, at_key=True),
    "missing_key": Wording(
        "TG102", "`{key}` is missing",
        lambda about: f"`{about['key']}`: {about['what']}" if about["what"] else None, at_key=True,
    ),
    "choice_missing": Wording("TG102", "`{tag}` is missing: which {noun}?", _near, at_key=True),
    # types
    "string_type": Wording(
        "TG103", "`{value}` is not text",
        lambda about: "quote it if it is text" if isinstance(about["input"], int | float | Decimal) else None,
    ),
    "int_type": Wording("TG103", "{quoted} is not a whole number", _quoted_number),
    "float_type": Wording("TG103", "{quoted} is not a number", _quoted_number),
    "bool_type": Wording("TG103", "`{value}` is neither true nor false"),
    "tuple_type": Wording("TG103", "`{value}` is not a list", "give: [{value}]"),
    "dict_type": Wording("TG103", "`{value}` is not a mapping"),
    "model_type": Wording("TG103", "`{value}` is not a mapping"),
    "choice_type": Wording("TG103", "`{value}` is not a {noun}", _near_named),
    "number_type": Wording("TG103", "`{value}` is not a number", _quoted_axis),
    "number_whole": Wording("TG103", "{value} is not a whole number"),
    "number_small": Wording("TG104", "{value} is too small: it must be at least {limit}"),
    "number_large": Wording("TG104", "{value} is too large: it must be at most {limit}"),
    "word_type": Wording("TG103", "`{value}` is neither a word nor a whole number"),
    # values
    "literal_error": Wording("TG104", "'{value}' is not allowed here", _allowed),
    "greater_than": Wording("TG104", "{value} is too small: it must be more than {gt}"),
    "greater_than_equal": Wording("TG104", "{value} is too small: it must be at least {ge}"),
    "less_than": Wording("TG104", "{value} is too large: it must be less than {lt}"),
    "less_than_equal": Wording("TG104", "{value} is too large: it must be at most {le}"),
    "finite_number": Wording("TG104", "{value} is not a finite number"),
    "number_finite": Wording("TG104", "{value} is not a finite number"),
    "int_parsing_size": Wording("TG104", "a number of too many digits"),
    "int_from_float": Wording("TG103", "{value} is not a whole number"),
    "string_too_short": Wording("TG104", "the text is empty"),
    "string_too_long": Wording("TG104", "the text has more than {max_length} characters"),
    "string_pattern_mismatch": Wording("TG104", "'{value}' is not allowed here", _shape),
    "too_short": Wording("TG104", "the list has {actual_length} elements, at least {min_length} are needed"),
    "too_long": Wording("TG104", "the list has {actual_length} elements, at most {max_length} are allowed"),
    "value_error": Wording("TG104", "{error}"),
    "no_effect": Wording("TG120", "{message}", at_key=True),
    # axes
    "zip_flat": Wording("TG103", "these are axes, not groups of axes", "give: [[{axes}]]"),
    "axis_empty": Wording("TG105", "this list is empty: it leaves nothing to run"),
    "axis_twice": Wording("TG105", "'{value}' stands twice in the axis"),
    "name_twice": Wording("TG105", "another {noun} of the axis is called '{value}' too", _OWN_NAME),
    "step_zero": Wording("TG105", "a step of 0 goes nowhere"),
    "step_away": Wording("TG105", "a step of {step} leads away from {stop}: turn its sign, or swap the ends"),
    "step_past": Wording("TG105", "one step of {step} from {start} is already past {stop}"),
    "step_missed": Wording(
        "TG105", "the step never reaches {stop}: {start} + {count} x {step} = {before}, and then {after}"
    ),
    "ends_equal": Wording("TG105", "both ends of the range are {value}: write the value alone"),
    "axis_long": Wording("TG105", "the range has more than {longest} values"),
    # contexts
    "context_name": Wording("TG104", "'{value}' cannot be the name of a context", _NAME, at_key=True),
    "context_combined": Wording("TG106", "'{value}' is a combination itself", "name the contexts that it joins"),
    "file_empty": Wording("TG108", "'{value}' has no row"),
    # vocabularies
    "vocabulary_name": Wording(
        "TG104", "'{value}' cannot be the name of a trait or level",
        "give small letters and digits, with - _ . or blanks between them; `all` and `direction` are taken",
        at_key=True,
    ),
    "position_twice": Wording(
        "TG105", "`{name}` stands where `{other}` stands", "give each level a position of its own, from -1 to 1"
    ),
    "letter_twice": Wording("TG105", "`{name}` has the letter of `{other}`", "give each trait a letter of its own"),
    # names
    "name_unknown": Wording("TG106", "unknown {noun} '{value}'", _near_named),
    "name_ambiguous": Wording(
        "TG106", "'{value}' is a folder here and may be a hub id",
        "write ./{value} for the folder, {{id: {value}}} for the hub",
    ),
    "choice_unknown": Wording("TG106", "unknown {noun} '{value}'", _near_benchmark),
    "analysis_twice": Wording("TG106", "two analyses are `{value}`", "write an arm for each"),
    "benchmark_twice": Wording("TG106", "two benchmarks are called '{value}'", "give one of them a `name`"),
    "form_missing": Wording("TG107", "a {noun} needs {keys}"),
    "form_twice": Wording("TG107", "a {noun} has only one of {keys}"),
    "task_unknown": Wording("TG106", "the folder '{folder}' defines no lm-eval task '{value}'", _near_task),
    "file_wanted": Wording("TG108", "'{value}' is a folder, a file is wanted", _files_of),
    "form_unread": Wording("TG106", "'{value}' is there, and no {noun} by this name", "{form}"),
    "task_not_built_in": Wording(
        "TG106", "the installed lm-eval has no task or group '{value}'",
        lambda about: "near: " + ", ".join(about["names"]) if about["names"] else None,  # there are too many to list
    ),
    "folder_wanted": Wording(
        "TG108", "'{value}' is a file, a folder is wanted",
        lambda about: f"give the folder that holds it: {str(about['value']).rpartition('/')[0] or '.'}",
    ),
    "path_missing": Wording("TG108", "there is no file or folder '{value}'", _near),
    "model_folder": Wording("TG216", "'{value}' {reason}", "{repair}"),
    "path_odd": Wording(
        "TG108", "'{value}' is no plain file and no folder: a pipe, a device or a socket",
        "copy its content into a file",
    ),
    "reported": Wording("", ""),
}  # fmt: skip
"""Every type of fault that a model of the language can raise. `reported` marks what was told already, in a preset."""


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, in the spelling of YAML."""
    text = _on_one_line(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _on_one_line(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {"True": "true", "False": "false"}.get(str(value), "null")
    if isinstance(value, Decimal) or (isinstance(value, float) and isfinite(value)):
        return number_text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: ..." for key in islice(value, 4)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_on_one_line(item) for item in value[:4]) + (", ...]" if len(value) > 4 else "]")
    return " ".join(str(value)[:100].split())
