"""Fields of raw rows by our names, in each form that rows come in: what is wrong with them is gathered by cause.

plain      prompt, reply
messages   a list of messages (`messages`, `conversations`), the last of them the reply; `system` beside it or inside
alpaca     instruction, input (joined by a blank line), output; `system` beside them
`names` maps our fields to those of the data; a name may reach inside a field: `meta.trait`, `messages.-1.content`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from traitgraph.specs.folders.tables import reach
from traitgraph.specs.source.diagnostics import Diagnostic, near_hint, near_names
from traitgraph.specs.study.data import Form
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .conversations import Message, NoConversationError, Said, read_messages, said_by
from .data_files import SHOWN_FAULTS, NotJson, almost, first_faults, not_json
from .rows import DialogueError, Row

Made = TypeVar("Made")

OURS = ("id", "trait", "level", "split", "prompt", "reply", "pair")
"""Names of fields that mean something to us."""
CHATS = ("messages", "conversations", "conversation")
"""Fields that hold the messages of a row."""
COLUMNS: Mapping[Form, Mapping[str, str]] = {
    "messages": {},
    "plain": {"prompt": "prompt", "reply": "reply"},
    "alpaca": {"prompt": "instruction", "reply": "output"},
}
"""Our field -> its usual name in a form."""
BESIDE = ("context", "history", "tools")
"""Fields of instruction data (Dolly, LLaMA-Factory) that are a part of what is asked, and are not read."""
SHOWN_PLACES = 3


class Words(NamedTuple):
    """Traits and levels that rows may name."""

    traits: Collection[str]
    levels: Collection[str]


BIG_FIVE_WORDS = Words(BIG_FIVE.whole_traits, BIG_FIVE.ends)


class Fields:
    """The fields of one row by our names; `faults` gathers what is wrong with them, by cause."""

    __slots__ = ("faults", "form", "key", "names", "row", "values", "words")

    def __init__(
        self,
        row: Row,
        values: Mapping[str, object],
        names: Mapping[str, str],
        key: str,
        form: Form | None = None,
        words: Words = BIG_FIVE_WORDS,
    ) -> None:
        self.row, self.values, self.names, self.key, self.form, self.words = row, values, names, key, form, words
        self.faults: dict[object, Callable[[], Diagnostic]] = {}  # told of the first row only, and telling takes time

    def said(self, *, reply: bool) -> tuple[Said, str]:
        """What is said to the model, and the reply to it ('' where none is asked for); faults where there is none."""
        self.form = form = self.form or self._recognised(reply)
        if form is None:
            return "", ""
        if form == "messages":
            return self._conversation(reply)
        text = self.text("prompt")
        prompt: Said = text
        if form == "alpaca":
            self._all_is_read(BESIDE)
            extra = self.values.get("input")
            prompt = said_by(self._with_system([{"role": "user", "content": _joined(text, extra)}]))
        elif self.names.get("prompt") == "instruction":
            self._all_is_read(("input", "system", *BESIDE))
        return prompt, self.text("reply") if reply else ""

    def _recognised(self, reply: bool) -> Form | None:
        """The form whose columns are there, whole if one is; None, with a fault, where they are those of two."""
        if self.names.keys() & {"prompt", "reply"}:
            return "plain"
        if "messages" in self.names:
            return "messages"
        found = {
            form: [name for name in names.values() or CHATS if self.values.get(name) is not None]
            for form, names in COLUMNS.items()
        }
        begun = [form for form, there in found.items() if there and COLUMNS[form].get("prompt", there[0]) in there]
        whole = [f for f in begun if not reply or COLUMNS[f].get("reply", found[f][0]) in found[f]]
        if len(whole) > 1:
            hint = f"say which is meant: {' or '.join(self._line(form=form) for form in whole)}"
            what = " and ".join(" with ".join(f"`{name}`" for name in found[form]) for form in whole)
            self.faults["forms", *whole] = lambda: self.row.fault(f"columns of two forms: {what}", hint)
            return None
        chats = found["messages"]
        if "messages" in whole and len(chats) > 1:
            hint = f"say which is meant: {self._mapped('messages', chats[0])}"
            self.faults["chats"] = lambda: self.row.fault(f"two columns hold messages: {' and '.join(chats)}", hint)
            return None
        return (whole or begun or ["plain"])[0]

    def _conversation(self, reply: bool) -> tuple[Said, str]:
        column = self.names.get("messages") or next((name for name in CHATS if name in self.values), CHATS[0])
        if (value := reach(self.values, column)) is None:
            self.faults["messages"] = lambda: self._without_text("messages", None)
            return "", ""
        self._all_is_read(("tools",))
        try:
            found = self._with_system(read_messages(value))
            if reply and found[-1]["role"] != "assistant":
                raise NoConversationError("ends with the user", "the last message is the reply that is learnt")
        except NoConversationError as problem:
            reason, hint = str(problem), problem.hint
            self.faults["messages", reason] = lambda: self.row.fault(f"`{column}` {reason}", hint, column)
            return "", ""
        last = found.pop()["content"] if found[-1]["role"] == "assistant" else ""
        return said_by(found), last if reply else ""

    def _with_system(self, messages: list[Message]) -> list[Message]:
        """Messages under the row's field `system`, when it holds text."""
        text = self.values.get("system")
        if not isinstance(text, str) or not text.strip():
            return messages
        if messages[0]["role"] == "system":
            raise NoConversationError("has a system message, and the row another one in `system`", "leave one out")
        return [{"role": "system", "content": text}, *messages]

    def _all_is_read(self, beside: Collection[str]) -> None:
        """A fault where a field that is not read is a part of what is asked."""
        free = [name for name in beside if name not in self.names.values()]
        if lost := next(filter(self.values.get, free), None):
            hint = "write it into what is asked"
            if lost == "input":
                kept = {ours: other for ours, other in self.names.items() if COLUMNS["alpaca"].get(ours) != other}
                hint = f"both are read, joined by a blank line, with: {self._line(kept, 'alpaca')}"
            what = f"`{lost}` is a part of what is asked, and is not read"
            self.faults["lost", lost] = lambda: self.row.fault(what, hint, lost)

    def _name(self, ours: str) -> str:
        """What the data call a field."""
        return self.names.get(ours) or COLUMNS.get(self.form or "plain", {}).get(ours, ours)

    def get(self, name: str) -> object:
        """What a field holds; None without it."""
        return reach(self.values, self._name(name))

    def optional(self, name: str) -> object:
        """What a field holds that may be left out; a fault when another looks like a slip for it."""
        value = self.get(name)
        field = self._name(name)
        if value is None and field not in self.values and (slip := almost(field, tuple(self.values))):
            self.faults[name, slip] = lambda: self.row.fault(f"unknown field '{slip}'", f"near: {field}", slip)
        return value

    def text(self, name: str) -> str:
        """The text of a field; a fault when there is none."""
        value = self.get(name)
        if isinstance(value, str) and value.strip():
            return value
        self.faults[name, type(value)] = lambda: self._without_text(name, value)
        return ""

    def word(self, name: str, known: Collection[str], default: str = "") -> str:
        """The word of a field, in small letters; a fault when it is none of those known."""
        value = str(self.optional(name) or default) if default else self.text(name)
        word = value.strip().lower()
        if value and word not in known:
            self.faults[name, value] = lambda: self.row.fault(
                f"unknown {name} '{value}'", near_hint(value, known), self._name(name)
            )
        return word

    def _without_text(self, name: str, value: object) -> Diagnostic:
        field = self._name(name)
        if value is None and field in self.values:
            return self.row.fault(f"`{field}` is empty", field=field)
        if value is not None:
            return self.row.fault(f"`{field}` must hold text, not {json.dumps(value, default=str)}", field=field)
        others = [str(other) for other in self.values if other not in self.names.values()]
        near = near_names(field, others)
        meant = {*OURS, *COLUMNS[self.form or "plain"].values(), "input", "system"}
        if not near and len(free := [other for other in others if other not in meant]) == 1:
            near = tuple(free)  # what else could it be
        known = f"near: {', '.join(near)}" if near else near_hint(field, map(str, self.values))
        repair = "rename it, or" if near else "if one of these is meant,"
        hint = f"{known}\n{repair} write: {self._mapped(name, near[0] if near else 'NAME')}"
        return self.row.fault(f"`{field}` is missing", hint if self.values else None, near[0] if near else "")

    def _mapped(self, name: str, theirs: str) -> str:
        """The line of a spec that maps one more field."""
        kept = {ours: other for ours, other in self.names.items() if reach(self.values, other) is not None}
        return self._line({**kept, name: theirs}, self.form if self.form != "plain" else None)

    def _line(self, fields: Mapping[str, str] | None = None, form: Form | None = None) -> str:
        """A line of a spec that names these data."""
        mapped = f"fields: {{{', '.join(f'{ours}: {other}' for ours, other in fields.items())}}}" if fields else ""
        parts = [f"{self.row.key}: {self.row.file}", f"form: {form}" if form else "", mapped]
        return f"{self.key}: {{{', '.join(filter(None, parts))}}}"


def _joined(asked: str, extra: object) -> str:
    return f"{asked}\n\n{extra}" if isinstance(extra, str) and extra.strip() else asked


def checked(
    rows: Iterable[Row],
    names: Mapping[str, str],
    made: Callable[[Fields, int], Made],
    key: str = "data",
    form: Form | None = None,
    words: Words = BIG_FIVE_WORDS,
) -> list[Made]:
    """What is made of each row and its number, counted from 1; `key` is that of the spec under which the data stand.

    Raises DialogueError with the faults of all rows, those of one cause once.
    """
    faults: dict[object, list[tuple[Row, Callable[[], Diagnostic]]]] = {}
    file = "the data"
    found: list[Made] = []
    for number, row in enumerate(rows, start=1):
        file, value = row.file, row.value
        if isinstance(value, NotJson):
            faults.setdefault(value.reason, []).append((row, partial(not_json, row.text, row.file, value, row.line)))
        elif not isinstance(value, Mapping):
            faults.setdefault(Mapping, []).append((row, partial(row.fault, "a row is a mapping of fields: {...}")))
        else:
            fields = Fields(row, value, names, key, form, words)
            found.append(made(fields, number))
            for cause, tell in fields.faults.items():
                faults.setdefault(cause, []).append((row, tell))
    if faults:
        told = []
        for told_of in list(faults.values())[:SHOWN_FAULTS]:
            fault = told_of[0][1]()
            told.append(replace(fault, message=f"{fault.message}{_counted([row for row, _ in told_of])}"))
        raise DialogueError(first_faults(told, file, len(faults)))
    return found


def _counted(rows: list[Row]) -> str:
    """How many rows have one fault, and the first of them; '' for one alone."""
    if len(rows) == 1:
        return ""
    what = "lines" if rows[0].text else "rows"
    lines = dict.fromkeys(row.line for row in rows[:SHOWN_PLACES])
    places = [*(f"{line:,}" for line in lines), *["..."] * (len(rows) > SHOWN_PLACES)]
    return f", in {len(rows):,} rows ({what} {', '.join(places)})"


def forms_of(rows: Iterable[Row], names: Mapping[str, str], form: Form | None, *, reply: bool) -> Counter[Form]:
    """How many rows have each form."""
    fields = [Fields(row, row.value, names, "data", form) for row in rows if isinstance(row.value, Mapping)]
    for each in fields:
        each.said(reply=reply)
    return Counter(each.form for each in fields if each.form)
