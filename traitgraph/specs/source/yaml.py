"""Text of a spec to a `Document`: YAML with positions, read by the rules of YAML 1.2's core schema.

`1e-4` is a number, `no` is a word, `010` is ten; numbers with a point or an exponent are exact decimals. Keys given
twice, tags, runaway aliases and deep nesting are refused with their place. Knows nothing of the language's own keys
except the Greek spellings of alpha and gamma.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import yaml

from .diagnostics import Diagnostic, Span, error
from .library import exists, is_plain
from .positions import LATIN, Document, NodeLayer, Path, SourceText, dotted
from .yaml_errors import cannot_open, control_character, not_utf8, not_yaml

if TYPE_CHECKING:
    from yaml import MappingNode, Node, ScalarNode
    from yaml.error import Mark


KEY_TWICE = "TG007"
MAX_BYTES = 4_000_000
MAX_DEPTH = 64
TOO_DEEP, SIX_LEVELS = f"values are nested more than {MAX_DEPTH} deep", "a spec needs about six levels"
MAX_VALUES = 200_000
MAX_KEYS = 2_000
MAX_DIGITS = 40
MAX_EXPONENT = 300
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_IF_TEXT = "quote it if it is text"
_NO_MERGE_KEY = "values at the top of a study are the defaults of every arm; or use a `defaults:` list"
_PLAIN, _QUOTED = "plain", "quoted"
_TAG = "tag:yaml.org,2002:"
_TAGGED: dict[str, Callable[[object], bool]] = {
    _TAG + "int": lambda value: type(value) is int,
    _TAG + "float": lambda value: isinstance(value, Decimal) or type(value) is int,
    _TAG + "bool": lambda value: isinstance(value, bool),
    _TAG + "null": lambda value: value is None,
}


class _TooMuchError(Exception):
    """Raised inside the parser where a file grows beyond what a person writes; `mark` is the place."""

    def __init__(self, what: str, mark: Mark, hint: str) -> None:
        self.what, self.mark, self.hint = what, mark, hint


class _Resolver:
    """Says of each node only whether it was plain or quoted, and stops at what no person writes.

    PyYAML calls these three for every node; its own resolver follows YAML 1.1, where `no` is False and `1e-4` text.
    """

    depth = 0

    def resolve(self, kind: type[Node], value: object, implicit: tuple[bool, bool]) -> str:
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _QUOTED

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH and parent is not None:
            raise _TooMuchError(TOO_DEEP, parent.start_mark, SIX_LEVELS)
        if isinstance(index, yaml.Node) and parent is not None and len(parent.value) >= MAX_KEYS:
            what = f"this mapping has more than {MAX_KEYS:,} keys"
            raise _TooMuchError(what, index.start_mark, "a grid is written as an axis: {from, to, step}")

    def ascend_resolver(self) -> None:
        self.depth -= 1


def composer_of(text: str) -> Any:
    """A PyYAML composer over `text`: libyaml's where it is there, else the pure one with equal results."""
    loader: type = yaml.BaseLoader
    with suppress(ImportError):
        from yaml.cyaml import CBaseLoader as loader  # noqa: N813  # one of two classes, not a class of ours
    return type(loader.__name__, (_Resolver, loader), {})(text)


def read_document(path: FilePath, shown_as: str | None = None) -> tuple[Document | None, list[Diagnostic]]:
    """The file as a document, or None, with everything that is wrong. Never raises for what is in the file.

    Of a key that stands twice the first value is read, so that all other faults are told as well.

    `shown_as` is the name that messages use, by default the path as given.
    """
    shown = shown_as or str(path)
    if exists(path) and not is_plain(path):
        what = f"{shown} is no plain file (a pipe, a device or a socket)"
        return None, [error("TG001", what, hint="copy its content into a file")]
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as problem:
        return None, [cannot_open(shown, path, problem)]
    if len(raw) > MAX_BYTES:
        what = f"the file is larger than {MAX_BYTES // 1_000_000} MB; no spec is"
        return None, [error("TG003", what, Span(shown, 1, 1, 1, ""), hint="generate fewer arms; grids are axes")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        return None, [not_utf8(shown, raw, problem.start)]
    return read_text(text, path, shown)


def read_text(text: str, path: FilePath, shown_as: str | None = None) -> tuple[Document | None, list[Diagnostic]]:
    """Like `read_document` for text that is already at hand; `path` is only remembered."""
    source = SourceText(shown_as or str(path), text)
    root, faults = compose_nodes(source, text)
    if faults:
        return None, faults
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == _PLAIN and root.value in ("", "~", "null")):
        hint = "`traitgraph init` writes one"
        return None, [error("TG005", "the file holds no spec", source.span(0, 0, 1), hint=hint)]
    if not isinstance(root, yaml.MappingNode):
        what = f"a spec is a mapping (`key: value` lines), not a {_NODE_NAMES[type(root)]}"
        return None, [error("TG006", what, source.between(root.start_mark, root.end_mark))]
    reader = _Reader(source)
    data = reader.mapping(root, ())
    can_be_read = all(fault.code == KEY_TWICE for fault in reader.faults)
    return (Document(data, path, (NodeLayer(source, root),)) if can_be_read else None), reader.faults


_NODE_NAMES = {yaml.ScalarNode: "single value", yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}


def compose_nodes(source: SourceText, text: str) -> tuple[Node | None, list[Diagnostic]]:
    """The tree of YAML nodes, or the one place where the syntax breaks."""
    try:
        return composer_of(text).get_single_node(), []
    except _TooMuchError as problem:
        what, hint, line, column = problem.what, problem.hint, problem.mark.line, problem.mark.column
    except yaml.MarkedYAMLError as problem:
        # A parser that looks ahead meets a limit of its own before it tells us of the first bracket.
        stop = problem.problem_mark or problem.context_mark
        opened = _open_brackets(text[: stop.index]) if stop else []
        if len(opened) <= MAX_DEPTH:
            return None, [not_yaml(source, problem)]
        before = text[: opened[MAX_DEPTH - 1]]
        what, hint, line, column = TOO_DEEP, SIX_LEVELS, before.count("\n"), len(before) - before.rfind("\n") - 1
    except yaml.reader.ReaderError:
        return None, [control_character(source, text)]
    return None, [error("TG003", what, source.span(line, column, 1), hint=hint)]


def _open_brackets(text: str) -> list[int]:
    """Where the brackets begin that are still open at the end of a text, but for those in quotes and comments."""
    opened: list[int] = []
    for found in re.finditer(r"""'[^']*'|"(?:\\.|[^"\\])*"|(?<!\S)\#.*|[][{}]""", text):
        if found[0] in "[{":
            opened.append(found.start())
        elif found[0] in "]}" and opened:
            opened.pop()
    return opened


class _Reader:
    """Turns nodes into plain data and collects every fault on the way."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.faults: list[Diagnostic] = []
        self._values = 0
        self._open: set[int] = set()
        self._top: Node | None = None

    def value(self, node: Node, path: Path) -> object:
        self._values += 1
        if self._values > MAX_VALUES:
            if self._values == MAX_VALUES + 1 and self._top is not None:
                what = f"up to here the file makes more than {MAX_VALUES:,} values, with its aliases written out"
                self._report("TG008", what, self._top, path[:1], "a grid is written as an axis: {from, to, step}")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._report("TG008", "this anchor contains itself", node, path, "repeat the values instead")
            return None
        self._open.add(id(node))
        inside: object
        if isinstance(node, yaml.MappingNode):
            inside = self.mapping(node, path)
        else:
            self._has_tag(node, path, _QUOTED, _TAG + "seq")
            inside = [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        self._open.discard(id(node))
        return inside

    def mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        self._has_tag(node, path, _QUOTED, _TAG + "map")
        data: dict[str, object] = {}
        places: dict[str, Node] = {}
        for key, item in node.value:
            name = self._key(key, path)
            if name is None:
                continue
            if not path:
                self._top = key
            if name in places:
                first = places[name]
                spelled = f" (as {first.value!r})" if first.value != key.value else ""
                where = f"{first.start_mark.line + 1}:{first.start_mark.column + 1}{spelled}"
                what = f"the key {key.value!r} is given twice: first at {where}, again here"
                self._report(KEY_TWICE, what, key, (*path, name), "keep one of the two")
                continue
            places[name] = key
            data[name] = self.value(item, (*path, name))
        return data

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        text: str = node.value
        if node.tag == _PLAIN:
            return self._plain(text, node, path)
        if node.tag in (_QUOTED, _TAG + "str"):
            return text
        if not self._has_tag(node, path, *_TAGGED):
            return None
        value = self._plain(text, node, path)
        if not _TAGGED[node.tag](value):
            self._report("TG009", f"{text!r} is not of the type that its tag {_tag_name(node)} says", node, path)
        return value

    def _plain(self, text: str, node: Node, path: Path) -> object:
        """A plain scalar by YAML 1.2's core schema."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
            return int(text)
        if _PREFIXED.fullmatch(text) and len(text) <= MAX_DIGITS:
            return int(text, 0)
        if match := _DECIMAL.fullmatch(text):
            fits = len(text) <= MAX_DIGITS and len(match[1] or "") <= 4
            if fits and abs((number := Decimal(text)).adjusted()) <= MAX_EXPONENT:
                return number
            self._report("TG010", "this number has more digits than any measure", node, path, _IF_TEXT)
            return None
        if _NOT_FINITE.fullmatch(text):
            self._report("TG010", f"{text} is not a finite number", node, path, _IF_TEXT)
            return None
        return text

    def _key(self, key: Node, path: Path) -> str | None:
        if not isinstance(key, yaml.ScalarNode):
            self._report("TG011", f"a key is a word, not a {_NODE_NAMES[type(key)]}", key, path, _IF_TEXT)
            return None
        if key.tag == _PLAIN and key.value == "<<":
            self._report("TG011", "the merge key `<<` is not part of the language", key, path, _NO_MERGE_KEY)
            return None
        if not self._has_tag(key, path, _PLAIN, _QUOTED, _TAG + "str"):
            return None
        if not key.value:
            self._report("TG011", "this key is empty", key, path)
            return None
        return LATIN.get(key.value, key.value)

    def _has_tag(self, node: Node, path: Path, *allowed: str) -> bool:
        """Whether a node has one of these tags; any other is reported."""
        if node.tag in allowed:
            return True
        self._report("TG009", f"the tag {_tag_name(node)} is not allowed", node, path, "write the value plainly")
        return False

    def _report(self, code: str, what: str, node: Node, path: Path, hint: str | None = None) -> None:
        span = self.source.between(node.start_mark, node.end_mark)
        self.faults.append(error(code, what, span, dotted(path), hint))


def _tag_name(node: Node) -> str:
    return "!!" + node.tag.removeprefix(_TAG) if node.tag.startswith(_TAG) else node.tag


def to_plain(value: object) -> object:
    """The data as the models read them: lists are tuples, and a number without a fraction is whole (8.0 is 8)."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(to_plain(item) for item in value)
    if isinstance(value, Decimal) and value.adjusted() < 16 and value == value.to_integral_value():
        return int(value)
    return value
