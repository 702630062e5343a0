"""Forms of a questionnaire: the same items asked of the same subject in other ways, every axis with every other.

axis           values
option_order   forward, backward, swapped (each with its neighbour), {shuffled: 3} (three orders of their own)
wording        a question of ours by its name, or {template: ...}
labels         what stands before an option, and is the answer
language       other files with the same items

They are axes of the administration: one job asks them all, and they are columns of no subject.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PositiveInt, model_validator
from pydantic_core import CoreSchema, core_schema

from traitgraph.specs.fields.base import FieldForm, Spec
from traitgraph.specs.fields.context import context_of
from traitgraph.specs.fields.pydantic_errors import each_read, existing, fault, located, validated
from traitgraph.specs.fields.references import Name
from traitgraph.specs.fields.templates import placeholders
from traitgraph.specs.fields.wording import shown

FILE = "file"
"""The language of the questionnaire's own file."""

ORDERS = ("forward", "backward", "swapped")
WORDINGS = ("accurate", "agree", "fits", "resembles", "typical")
LABELS = ("letters", "lowercase", "digits", "roman", "words")

QuestionText = Annotated[
    str,
    placeholders("statement", "options", "answer", needs=("statement",)),
    placeholders("statement", "options", "answer", needs=("options",)),
    Field(json_schema_extra={"allOf": [{"pattern": r"\{statement\}"}, {"pattern": r"\{options\}"}]}),
]
"""A text with {statement}, {options}, and {answer}: how to answer, as the labels have it."""


class Shuffled(Spec):
    """Several orders of the options, each drawn once for all items with as many of them."""

    shuffled: PositiveInt = Field(description="How many orders.")


class Template(Spec):
    """A question of one's own."""

    template: QuestionText = Field(description="The text, with {statement}, {options}, and {answer}: how to answer.")
    name: Name = Field("", description="Name in results; absent: template-1, template-2, ...")


class FormAxis(FieldForm):
    """Annotation of a list of words, and of mappings of one model; a job row has it as JSON."""

    def __init__(self, noun: str, words: tuple[str, ...], model: type[Spec] | None = None) -> None:
        self.noun, self.words, self.model = noun, words, model

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """A value, or a list of different ones."""
        forms: list[dict[str, Any]] = [{"enum": list(self.words)}]
        if self.model:
            forms.append({key: item for key, item in self.model.model_json_schema().items() if key != "title"})
        one = forms[0] if len(forms) == 1 else {"anyOf": forms}
        many = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [*forms, many, {"type": "null"}]}

    def read(self, value: object, info: core_schema.ValidationInfo) -> Any:
        """The values of the axis. Raises pydantic's errors, those of all values together."""
        if value is None:
            return None
        items = value if isinstance(value, list | tuple) else (value,)
        if not items:
            raise fault("axis_empty")
        seen: list[object] = []

        def read(item: object) -> object:
            if self.model and isinstance(item, Mapping):
                one: object = validated(self.model, item, context_of(info), strict=False)
            elif isinstance(item, Spec) or item in self.words:
                one = item
            else:
                raise fault("name_unknown", noun=self.noun, value=shown(item), names=self.words)
            if one in seen:
                raise fault("axis_twice", value=shown(item))
            seen.append(one)
            return one

        return tuple(each_read(items, read))


def _one_is_given(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `Forms` checks: it has an axis."""
    given = {name: {"not": {"type": "null"}} for name in schema["properties"]}
    schema["anyOf"] = [{"required": [name], "properties": {name: shape}} for name, shape in given.items()]


class Forms(Spec):
    """Other ways to ask a questionnaire. What is left out is asked as ever: in two orders of options, averaged."""

    model_config = ConfigDict(json_schema_extra=_one_is_given)

    option_order: Annotated[tuple[str | Shuffled, ...] | None, FormAxis("order of options", ORDERS, Shuffled)] = Field(
        None,
        description="The order of the options; absent: forward and backward, averaged (of TRAIT's file: swapped).",
    )
    wording: Annotated[tuple[str | Template, ...] | None, FormAxis("wording", WORDINGS, Template)] = Field(
        None, description="How it is asked: a question of ours, or a text of yours; absent: accurate."
    )
    labels: Annotated[tuple[str, ...] | None, FormAxis("kind of labels", LABELS)] = Field(
        None,
        description="What stands before each option and is the answer; words: nothing does, and the answer is the "
        "option itself; absent: letters.",
    )
    language: dict[Name, str] | None = Field(
        None,
        min_length=1,
        description="Name -> file of the same items in another language or in other words; `file` is the "
        "questionnaire's own, which is always among them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _what_can_matter(cls, value: object) -> object:
        if isinstance(value, Mapping) and "item_order" in value:
            why = "`item_order` changes nothing: every item is asked in a conversation of its own, without the others"
            raise located("item_order", value["item_order"], "no_effect", message=why)
        return value

    @model_validator(mode="after")
    def _names(self) -> "Forms":
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError(f"`forms` has none of {', '.join(type(self).model_fields)}")
        if len(self.templates) < len(self.wording or ()):
            raise located("wording", self.wording, "value_error", error="two wordings have one name: give one a `name`")
        if FILE in (self.language or {}):
            raise located("language", FILE, "value_error", error=f"`{FILE}` is the questionnaire's own file")
        return self

    def settled(self, folder: Path) -> "Forms":
        """Itself with absolute paths. Raises pydantic's errors for one that is not there."""
        if not self.language:
            return self
        paths = {name: str(existing(path, folder, name, ".json")) for name, path in self.language.items()}
        return self.model_copy(update={"language": paths})

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Axis -> the names of its values, of the axes that there are."""
        orders: list[str] = []
        for order in self.option_order or ():
            drawn = range(1, order.shuffled + 1) if isinstance(order, Shuffled) else ()
            orders += [order] if isinstance(order, str) else [f"shuffled-{number}" for number in drawn]
        named = {"option_order": tuple(orders), "wording": tuple(self.templates), "labels": self.labels or ()}
        named["language"] = (FILE, *self.language) if self.language else ()
        return {axis: values for axis, values in named.items() if values}

    @property
    def templates(self) -> dict[str, str | None]:
        """Name of a wording -> its text; None for one of ours."""
        own = [each for each in self.wording or () if isinstance(each, Template)]
        return {
            each if isinstance(each, str) else each.name or f"template-{own.index(each) + 1}": (
                None if isinstance(each, str) else each.template
            )
            for each in self.wording or ()
        }

    @property
    def count(self) -> int:
        """How many forms there are."""
        return prod(map(len, self.values.values()))

    def settings(self) -> Iterator[dict[str, str]]:
        """Every form: axis -> value."""
        values = self.values
        for each in product(*values.values()):
            yield dict(zip(values, each, strict=True))


def form_name(setting: Mapping[str, str]) -> str:
    """A form as results name it: 'option_order=backward,labels=digits'."""
    return ",".join(f"{axis}={value}" for axis, value in setting.items())


def forms_asked(forms: Forms | None) -> int:
    """How often each item is put by the likelihood of its options: both orders, or every form."""
    if forms is None:
        return 2
    return forms.count * (2 if forms.option_order is None else 1)
