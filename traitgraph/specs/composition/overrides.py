"""Overrides of the command line, `key=value`, read by Hydra's override grammar.

A plain `key=number` or `key=word` is read here by the same rules without importing Hydra, which costs more than
checking a spec. Numbers become exact decimals. Must not know what a key means; `apply.py` changes the document.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from traitgraph.specs.source.diagnostics import OVERRIDE, Diagnostic, Span, error, odd_character
from traitgraph.specs.source.positions import LATIN

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override as HydraOverride


Options = Callable[[str], Sequence[str]]
Action = Literal["change", "add", "force", "delete"]
ACTIONS: dict[str, Action] = {"": "change", "+": "add", "++": "force", "~": "delete"}

DIGITS = 15
"""Decimal digits that survive a binary float; a longer number is one that a program printed (0.30000000000000004)."""

LONGEST_SWEEP = 10_000
_KEY = r"[A-Za-z_][\w-]*(?:\.(?:[A-Za-z_][\w-]*|0|[1-9][0-9]*))*"
_PLAIN = re.compile(rf"(\+\+|\+|~)?({_KEY})=([^\s,'\"(){{}}\[\]=\\$:]+)", re.ASCII)
_DELETE = re.compile(rf"~{_KEY}", re.ASCII)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]*)\.|(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][+-]?[0-9]+)?"
)
_WORD = re.compile(r"[A-Za-z_][\w./@+-]*", re.ASCII)
_NUMBERS = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?P<before>[=,(\[]\s*|[{,]\s*[\w.-]+\s*:\s*)"""
    r"(?P<number>0x[0-9a-fA-F]+|0o[0-7]+|[+-]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?)(?=\s*(?:[,)\]}]|$))"
)
"""Texts in quotes, and whole values that are numbers or look like them: not the 007 of `agent 007`."""
_HOME = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<=[=,:({[\s])(~[\w.-]*/[^\s,'"(){}\[\]=]*)""")
_RESERVED: dict[str, object] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Override:
    """One override: what it does to which key, with one value or, in a sweep, one value for each member."""

    text: str
    action: Action
    key: str
    values: tuple[object, ...]
    swept: bool = False
    sweep: str = ""
    """For a member of a sweep the whole override."""

    @property
    def typed(self) -> str:
        """The override as the call has it."""
        return self.sweep or self.text

    @property
    def path(self) -> tuple[str, ...]:
        """The steps of a dotted key, all as text; () for a group choice (`model/small`, `data@train.data`)."""
        return () if "/" in self.key or "@" in self.key else tuple(self.key.split("."))

    @property
    def value(self) -> object:
        """The value of an override that is no sweep, or of one member."""
        return self.values[0] if self.values else None

    def members(self) -> Iterator[Override]:
        """One override for each value of a sweep."""
        for value in self.values:
            text = f"{self.text.partition('=')[0]}={spelled(value)}"
            yield Override(text, self.action, self.key, (value,), sweep=self.text)

    def span(self, part: Literal["key", "value", "all"] = "all") -> Span:
        """The place inside the override as it was typed."""
        text = self.typed
        start = len(text) - len(text.lstrip("+~"))
        mark = text.find("=")
        end = len(text) if mark < 0 else mark
        if part == "key" or (part == "value" and mark < 0):
            return Span(OVERRIDE, 1, start + 1, max(1, end - start), text)
        first, last = (mark + 1 if part == "value" else 0), len(text)
        if part == "value" and self.sweep and self.values:  # of a member its own value among those of the list
            own = re.compile(rf"(?<![^\s,=]){re.escape(spelled(self.value))}(?![^\s,])").search(text, first)
            first, last = own.span() if own else (first, last)
        return Span(OVERRIDE, 1, first + 1, max(1, last - first), text)


def parse_overrides(
    texts: Sequence[str], options: Options, has: Callable[[str], bool] = lambda key: True
) -> tuple[list[Override], list[Diagnostic]]:
    """Every override that can be read, and why the others cannot.

    `options` gives the presets of a group, for `glob` in a sweep; `has` says which keys a repair need not add.
    """
    overrides: list[Override] = []
    faults: list[Diagnostic] = []
    left = list(texts)
    while left:
        text = left.pop(0)
        try:
            overrides.append(parse_plain(text) or parse_by_grammar(text, options))
        except _Unreadable as problem:
            fault, key = problem.diagnostic, text.partition("=")[0]
            if parted := _parted(text, left, options):
                whole = shlex.quote(" ".join([text, *left[:parted]]))
                fault = _Unreadable(text, "a space parts this value", f"quote the whole: {whole}").diagnostic
            if fault.hint and not key.startswith(("+", "~")) and not has(key):
                fault = replace(fault, hint=fault.hint.replace(f"'{key}=", f"'+{key}="))
            faults.append(fault)
            left = left[parted:]
    return overrides, faults


def _parted(text: str, after: Sequence[str], options: Options) -> int:
    """How many of the words after a text that cannot be read belong to it, as where a shell has parted a list."""
    words = list(takewhile(lambda word: "=" not in word, after)) if "=" in text else []
    for count in range(1, len(words) + 1):
        with suppress(_Unreadable):
            parse_by_grammar(" ".join([text, *words[:count]]), options)
            return count
    return 0


class _Unreadable(Exception):  # noqa: N818 - carries a diagnostic, never reaches a user as an exception
    def __init__(self, text: str, message: str, hint: str | None, code: str = "TG020") -> None:
        self.diagnostic = error(code, message, Override(text, "change", "", ()).span(), "", hint)


def parse_plain(text: str) -> Override | None:
    """The override when its value is one number or one word, else None."""
    if _DELETE.fullmatch(text):
        return Override(text, "delete", text[1:], ())
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    prefix, key, written = match.groups()
    value: object
    if written.lower() in _RESERVED:
        value = _RESERVED[written.lower()]
    elif _INTEGER.fullmatch(written) and len(written) < DIGITS:
        value = int(written)
    elif (
        _FLOAT.fullmatch(written)
        and len(written) < 2 * DIGITS
        and (float(written) == 0 or 1e-300 < abs(float(written)) < inf)
    ):
        value = exact(written)
    elif _WORD.fullmatch(written) and written.lower() not in ("nan", "inf"):
        value = written
    else:
        return None
    return Override(text, ACTIONS[prefix or ""], key, (value,))


def parse_by_grammar(text: str, options: Options) -> Override:
    """The override by Hydra's own parser."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    _refuse_greek(text, text.partition("=")[0])
    try:
        typed = _NUMBERS.sub(_as_in_files, text)
        quoted = _HOME.sub(lambda found: found[1] or f'"{found[2]}"', typed)  # Hydra reads no `~` in a value
        parsed = OverridesParser.create().parse_override(quoted)
        if not parsed.key_or_group:
            raise _Unreadable(text, "the key is missing", "write key=value")
        key = parsed.key_or_group + (f"@{parsed.package}" if parsed.package is not None else "")
        swept = parsed.is_sweep_override()
        values = tuple(_plain_value(value, text) for value in _values(parsed, text, options))
    except (HydraException, RecursionError) as problem:
        _refuse_greek(text, text)
        raise _Unreadable(text, *_complaint(text, str(problem))) from problem
    return Override(text, ACTIONS[text[: len(text) - len(text.lstrip("+~"))]], key, values, swept)


def _as_in_files(found: re.Match[str]) -> str:
    """A number as a spec has it, by YAML 1.2: 010 is ten, 0x1f is 31, and 1_000 is a word."""
    before, text = found["before"], found["number"]
    if text is None:
        return found[0]
    if "_" in text:
        return f"{before}'{text}'"
    if re.match("0[xo]", text):
        return f"{before}{int(text, 0)}"
    return before + re.sub(r"^([+-]?)0+(?=[0-9])", r"\1", text)


def _values(parsed: HydraOverride, text: str, options: Options) -> Sequence[object]:
    """The value, or all values of a sweep in their order."""
    from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep

    if parsed.is_delete() and "=" not in text:
        return ()
    if not parsed.is_sweep_override():
        return (parsed.value(),)
    sweep: Any = parsed._value
    if isinstance(sweep, IntervalSweep):
        raise _Unreadable(text, "`interval` has no list of values", "write range(from, to, step), to excluded", "TG024")
    if isinstance(sweep, RangeSweep):
        return _range(sweep, text)
    if isinstance(sweep, Glob):
        known = options(parsed.key_or_group)
        names = tuple(sweep.filter(list(known)))
        if not names:
            hint = f"there are: {', '.join(known) or 'none'}"
            raise _Unreadable(text, f"no preset of {parsed.key_or_group!r} matches", hint, "TG024")
        return names
    return tuple(sweep.list)


def _range(sweep: Any, text: str) -> tuple[object, ...]:
    """Hydra's range, `stop` excluded, in exact decimals."""
    start, stop, step = (exact(repr(number)) for number in (sweep.start, sweep.stop, sweep.step))
    if step == 0:
        raise _Unreadable(text, "a range with step 0 never ends", "give a step other than 0", "TG024")
    count = max(0, -int((start - stop) // step) if (stop - start) % step == 0 else int((stop - start) // step) + 1)
    if count == 0:
        raise _Unreadable(text, "this range holds no value: `stop` is excluded", None, "TG024")
    if count > LONGEST_SWEEP:
        raise _Unreadable(text, f"this range has {count:,} members", "an axis inside the spec may be longer", "TG024")
    whole = all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step))
    values = [start + index * step for index in range(count)]
    return tuple(int(value) for value in values) if whole else tuple(values)


def exact(written: str) -> Decimal:
    """The number that was meant: as written up to 15 digits, else rounded to them (0.30000000000000004 is 0.3)."""
    number = Decimal(written)
    if len(number.as_tuple().digits) <= DIGITS:
        return number
    return Decimal(f"{number:.{DIGITS - 1}e}").normalize()


def _plain_value(value: object, text: str) -> object:
    """Hydra's value as ours: quotes gone, floats exact, keys as text with Greek spellings made Latin."""
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise _Unreadable(text, f"{value} is not a finite number", "quote it if it is text")
        return exact(repr(value))
    if isinstance(value, Mapping):
        return {LATIN.get(str(key), str(key)): _plain_value(item, text) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item, text) for item in value]
    return getattr(value, "text", value)  # a QuotedString of Hydra's


def spelled(value: object) -> str:
    """A value as it stands in names of members and in messages: 0.3, true, null, [a,b], {a:1}."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(spelled(item) for item in value) + "]"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def readable(value: object) -> str:
    """A value as an override can have it, text in quotes where it would be read as something else."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {readable(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(readable, value)) + "]"
    word = isinstance(value, str) and (not _WORD.fullmatch(value) or value.lower() in (*_RESERVED, "nan", "inf"))
    return _in_quotes(str(value)) if word else spelled(value)


def quoted(text: str) -> str:
    """An override with its value as one text, for a shell."""
    key, _, value = text.partition("=")
    return shlex.quote(f"{key}={_in_quotes(value)}")


def _in_quotes(text: str) -> str:
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + found[2].replace('"', '\\"'), text) + '"'


def _refuse_greek(text: str, part: str) -> None:
    for greek, latin in LATIN.items():
        if greek in part:
            what = f"{greek} is a spelling for files; names on the command line are Latin"
            raise _Unreadable(text, what, f"write: {shlex.quote(text.replace(greek, latin))}", "TG025")


def _complaint(text: str, problem: str) -> tuple[str, str | None]:
    """What is wrong with an override that the grammar refuses, and the repair."""
    if "=" not in text:
        form = "write key=value, +key=value to add a key, or ~key to delete one"
        return "this is no override", f"{form}; a value with spaces stands in quotes: 'key=two words'"
    key, _, value = text.partition("=")
    if not re.fullmatch(r"(\+\+|\+|~)?[\w.$/@-]+", key, re.ASCII):
        return f"{key!r} is no key", "a key is written a.b.c; a group choice group=name"
    first = problem.partition("\n")[0]
    if "while evaluating" in first:
        return first.partition("while evaluating ")[2], None
    odd = odd_character(value, number=not re.search("[A-Za-z]", value))
    return "the value cannot be read", odd or f"quote it if it is text: {quoted(text)}"
