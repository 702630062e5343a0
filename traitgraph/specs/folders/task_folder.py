"""What a folder of lm-evaluation-harness's definitions defines, read as text: names, filters, shots, and every path.

Read as the harness reads them (every .yaml file, with what it includes), but no tag is followed, so nothing that
`!function` names is executed. Whatever a definition names must lie in the folder: its digest is in the key of a job.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from glob import glob
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

from traitgraph.specs.source.diagnostics import Diagnostic, Span, error
from traitgraph.specs.source.hashing import is_hidden
from traitgraph.specs.source.library import exists, from_folder, is_plain
from traitgraph.specs.source.positions import SourceText, walk

IGNORED = frozenset({"__pycache__", ".ipynb_checkpoints"})
PACKAGED = frozenset({
    "json", "csv", "parquet", "text", "arrow", "xml", "pandas", "webdataset",
    "imagefolder", "audiofolder", "videofolder",
})  # fmt: skip
"""Readers of files that `dataset_path` can name."""
PATHS = ("data_files", "data_dir", "dataset_path", "use_prompt")
LINES = (".jsonl", ".csv", ".tsv")
"""Files whose examples can be counted without a library, by a line each (and one of names in a table)."""

AGGREGATES = "aggregate_metric_list"

COMMIT = 40
"""Hex digits of a commit."""

Report = Callable[[str, str], None]
"""Told of every text that names what may not be read, and why."""


class UnreadableError(Exception):
    """A definition that the harness would pass over in silence; the text says why."""


class Word(str):
    """A text of a definition that knows where it stands."""

    span: Span
    tag: str


class Definition(NamedTuple):
    """One file over what it includes."""

    path: Path
    config: dict[str, Any]
    bases: tuple[Path, ...]
    """Where its relative paths start: its own folder, those of included files, the task folder."""

    @property
    def names(self) -> list[str]:
        """The names that it brings."""
        if "group" in self.config and "class" not in self.config:
            return _words(self.config["group"])
        task = _words(self.config.get("task"))
        return [*task, *_words(self.config.get("tag"))] if len(task) == 1 else []

    @property
    def filters(self) -> list[str]:
        """The filters of its task, or those that a group gives its members; 'none' where the task has none."""
        listed = (each for each in _listed(self.config, "filter_list") if isinstance(each, dict))
        return [name for each in listed for name in _words(each.get("name"))] or ["none"] * ("group" not in self.config)


class TaskFolder:
    """The definitions of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.definitions: list[Definition] = []
        """Every definition that can be read, in order of the files."""
        self.unreadable: list[str] = []
        """A line for each file that cannot be read."""
        self._outside: dict[Path, list[Diagnostic]] = {}
        """Definition -> what it reads of other folders before anything is loaded: includes, or itself by a link."""
        for path in sorted(root.glob("**/*.yaml")):
            if not IGNORED & set(path.parts) and path.is_file():
                try:
                    self.definitions.append(Definition(path, *self._read(path, ())))
                except UnreadableError as fault:
                    self.unreadable.append(f"{path.relative_to(root)} cannot be read: {fault}")
        self._by_name: dict[str, list[Definition]] = {}
        for each in self.definitions:
            for name in each.names:
                self._by_name.setdefault(name, []).append(each)

    @property
    def names(self) -> list[str]:
        """All names of tasks, groups and tags."""
        return list(self._by_name)

    def reached(self, name: str) -> list[Definition]:
        """The definitions behind a name: of a group or tag, those of its members as well."""
        wanted, found = [name], dict[Path, Definition]()
        while wanted:
            for each in self._by_name.get(wanted.pop(), ()):
                if each.path not in found:
                    found[each.path] = each
                    members = walk(each.config.get("task") if "group" in each.config else None)
                    wanted += [word for _, word in members if isinstance(word, str)]
        return list(found.values())

    def filters_of(self, name: str) -> tuple[str, ...]:
        """The filters of the tasks behind a name; none where a group defines or finds members elsewhere."""
        reached = self.reached(name)
        members = [each for one in reached if "group" in one.config for each in _list(one.config.get("task"))]
        if not all(isinstance(each, str) and each in self._by_name for each in members):
            return ()
        return tuple(dict.fromkeys(filter_name for each in reached for filter_name in each.filters))

    def fixed_at_zero(self, name: str) -> list[str]:
        """Tasks behind a name that say 0 worked examples, which the harness lets nobody change."""
        return [each.names[0] for each in self.reached(name) if each.config.get("num_fewshot") == "0" and each.names]

    def hub_data(self, name: str) -> list[str]:
        """Data sets of the hub behind a name that no commit pins."""
        found = dict[str, None]()
        for each in self.reached(name):
            source, revision = each.config.get("dataset_path"), str(_options(each.config).get("revision", "main"))
            if isinstance(source, str) and source not in PACKAGED and not _is_local(source, each.bases):
                found |= {f"{source} at {revision}": None} if len(revision) != COMMIT else {}
        return list(found)

    def faults_of(self, name: str, shots: int | None = None) -> list[Diagnostic]:
        """Every path behind a name that leads out of the folder or nowhere, and splits with fewer examples than shots.

        A link counts as what it leads to.
        """
        reached = self.reached(name)
        faults = [fault for each in reached for fault in self._outside.get(each.path, ())]

        def report(word: str, why: str) -> None:
            faults.append(_fault(word, why))

        for definition in reached:
            config = placed(definition.config, definition.bases, report)
            for each in [*_listed(config, AGGREGATES), config.get(AGGREGATES)]:
                if isinstance(each, dict) and isinstance(several := each.get("metric"), list) and several:
                    what = f"`metric` of `{AGGREGATES}` is a list, for which the harness gives the group no figure"
                    hint = "write an entry for each metric"
                    faults.append(error("TG213", what, getattr(several[0], "span", None), hint=hint))
            if shots and (lack := _too_few(definition.config, config, shots)):
                report(*lack)
        return list(dict.fromkeys(faults))

    def _read(self, path: Path, around: tuple[Path, ...]) -> tuple[dict[str, Any], tuple[Path, ...]]:
        if path in around:
            raise UnreadableError(f"{path.name} includes itself")
        config, merged = dict(_mapping_of(path)), dict[str, Any]()
        home = path.resolve().parent  # the harness follows links
        bases = dict.fromkeys([home])
        if not around:
            self._note_outside(path, path.resolve(), (*_words(config.get("task")), *_words(config.get("group")))[:1])
        for each in _words(config.pop("include", None)):
            inner = from_folder(home, each)
            self._note_outside((*around, path)[0], inner, [each] * exists(inner))
            found, folders = self._read(inner, (*around, path))
            merged |= found
            bases |= dict.fromkeys(folders)
        return merged | config, (*bases, self.root)

    def _note_outside(self, definition: Path, file: Path, words: Sequence[str]) -> None:
        if not file.is_relative_to(self.root.resolve()):
            self._outside.setdefault(definition, []).extend(_fault(word, OUTSIDE) for word in words)


OUTSIDE = "it lies outside of the task folder"


def _fault(word: str, why: str) -> Diagnostic:
    hint = "what a task reads must lie in its folder, whose content is in the key: copy it there"
    return error("TG213", f"{word}: {why}", getattr(word, "span", None), hint=hint)


def placed(value: Any, bases: Sequence[Path], report: Report, option: bool = False) -> Any:
    """A definition with absolute paths, at any depth. What leads out of the last of the bases is reported.

    `option`: it stands among the options of a data set, where other texts can be paths as well.
    """
    if isinstance(value, list | tuple):
        return [placed(each, bases, report, option) for each in value]
    if option and isinstance(value, str) and value.startswith(("./", "../", "~/", "/")):
        return _absolute(value, bases, report)
    if isinstance(value, str) and getattr(value, "tag", "") == "!function":
        _check_function(value, bases, report)
    if not isinstance(value, Mapping):
        return value
    found, source, options = dict(value), value.get("dataset_path"), _options(value)
    if isinstance(source, str) and source in PACKAGED:
        if not options.keys() & {"data_files", "data_dir"}:
            found["dataset_kwargs"] = {**options, "data_dir": str(bases[0])}  # or it would read the working folder
    elif isinstance(source, str):
        if not _is_local(source, bases):
            return {
                key: item if key == "dataset_kwargs" else placed(item, bases, report) for key, item in value.items()
            }
        found["dataset_path"] = _absolute(source, bases, report)
        bases = (Path(found["dataset_path"]), *bases)
    if isinstance(prompt := value.get("use_prompt"), str) and ".yaml:" in prompt:
        found["use_prompt"] = f"{_absolute(prompt.rpartition(':')[0], bases, report)}:{prompt.rpartition(':')[2]}"
    if isinstance(folder := value.get("data_dir"), str):
        found["data_dir"] = _absolute(folder, bases, report)
        bases = (Path(found["data_dir"]), *bases)
    if "data_files" in value:
        found["data_files"] = _each_absolute(value["data_files"], bases, report)
    return {
        key: item if key in PATHS else placed(item, bases, report, option or key == "dataset_kwargs")
        for key, item in found.items()
    }


def _is_local(source: str, bases: Sequence[Path]) -> bool:
    return source.startswith((".", "/", "~")) or any(exists(base / source) for base in bases)


def _each_absolute(files: Any, bases: Sequence[Path], report: Report) -> Any:
    if isinstance(files, Mapping):
        return {split: _each_absolute(inner, bases, report) for split, inner in files.items()}
    if isinstance(files, list | tuple):
        return [_each_absolute(inner, bases, report) for inner in files]
    return _absolute(files, bases, report) if isinstance(files, str) else files


def _absolute(text: str, bases: Sequence[Path], report: Report) -> str:
    """The first that there is of a file, folder or pattern, from each of the bases; addresses stay."""
    inner, mark, place = text.rpartition("::")  # zip://rows.jsonl::archive.zip
    place = place.removeprefix("file://").removeprefix("local://")
    if "://" in place:
        return text
    root = bases[-1].resolve()
    for base in bases:
        path = os.path.normpath(base / os.path.expanduser(place))  # noqa: PTH111  # links are followed below
        hits = [Path(path)] if os.path.lexists(path) else [Path(hit) for hit in glob(path, recursive=True)]  # noqa: PTH207
        if hits:
            below = (each for hit in hits if hit.is_dir() for each in hit.rglob("*"))  # never of a folder outside
            if any(not each.resolve().is_relative_to(root) for each in chain(hits, below)):
                report(text, OUTSIDE)
            elif is_hidden(Path(os.path.relpath(path, root))):
                report(text, "hidden files have no part in the digest of a folder")
            return inner + mark + path
    report(text, "there is no such file in the task folder")
    return text


def _options(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("dataset_kwargs")
    return found if isinstance(found, Mapping) else {}


def _check_function(name: str, bases: Sequence[Path], report: Report) -> None:
    """Its module lies beside the definition, or belongs to the harness."""
    file = f"{name.rpartition('.')[0].replace('.', '/')}.py"
    found = next((each for base in bases if exists(each := from_folder(base, file))), None)
    if found is None and not name.startswith("lm_eval."):
        report(name, f"there is no {file} beside the definition")
    elif found is not None and not found.is_relative_to(bases[-1].resolve()):
        report(name, OUTSIDE)


def _too_few(written: Mapping[str, Any], config: Mapping[str, Any], shots: int) -> tuple[str, str] | None:
    """The file of worked examples, where it can be counted and has fewer than are to be shown."""
    splits = ("fewshot_split", "training_split", "validation_split", "test_split")
    split = next((config[key] for key in splits if isinstance(config.get(key), str)), None)
    path, word = (
        each.get(split) if isinstance(each := _options(one).get("data_files"), Mapping) else each
        for one in (config, written)
    )
    if not isinstance(path, str) or not path.endswith(LINES) or not Path(path).is_file():
        return None
    if "fewshot_config" in config or config.get("num_fewshot") == "0":
        return None
    needed = shots + (split == config.get("fewshot_split") == config.get("test_split"))  # never its own answer
    with Path(path).open("rb") as lines:
        rows = sum(bool(line.strip()) for line in lines) - (not path.endswith(".jsonl"))
    return (word or path, f"`shots: {shots}` needs {needed} examples, there are {rows}") if rows < needed else None


def _mapping_of(path: Path) -> dict[str, Any]:
    """One file as mappings, lists and words; it is parsed again only when it has changed."""
    try:
        if exists(path) and not is_plain(path):
            raise UnreadableError(f"{path.name} is no plain file")
        facts = path.stat()
        return _parsed(path, Path.cwd(), (facts.st_mtime_ns, facts.st_size, facts.st_ino))
    except OSError as fault:
        raise UnreadableError(f"{path.name}: {fault.strerror}") from fault
    except ValueError as fault:
        raise UnreadableError(f"{path.name!r} cannot be the name of a file") from fault


@lru_cache(maxsize=4096)
def _parsed(path: Path, here: Path, stamp: tuple[int, ...]) -> dict[str, Any]:
    from yaml import MappingNode

    from traitgraph.specs.source.yaml import MAX_BYTES, MAX_VALUES, compose_nodes

    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise UnreadableError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UnreadableError("it is not UTF-8") from fault
    source = SourceText(str(path.relative_to(here) if path.is_relative_to(here) else path), text)
    root, faults = compose_nodes(source, text)
    if faults:
        span = faults[0].span
        raise UnreadableError((f"line {span.line}: " if span else "") + faults[0].message)
    if not isinstance(root, MappingNode):
        raise UnreadableError("it is not a mapping")
    try:
        found = _plain(root, source, repeat(None, MAX_VALUES))
    except (RecursionError, StopIteration):
        raise UnreadableError("its anchors contain themselves, or come to too many values") from None
    assert isinstance(found, dict)
    return found


def _plain(node: Any, source: SourceText, left: Iterator[None]) -> Any:
    from yaml import MappingNode, ScalarNode, SequenceNode

    next(left)
    if isinstance(node, SequenceNode):
        return [_plain(each, source, left) for each in node.value]
    if isinstance(node, MappingNode):
        found: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                raise UnreadableError(f"line {key.start_mark.line + 1}: a list or a mapping is no key")
            value = _plain(item, source, left)
            found = {**value, **found} if key.value == "<<" and isinstance(value, dict) else {**found, key.value: value}
        return found
    if node.style in (None, "") and node.value in ("", "~", "null", "Null", "NULL"):
        return None
    word = Word(node.value)
    word.span, word.tag = source.between(node.start_mark, node.end_mark), node.tag
    return word


def _words(value: Any) -> list[str]:
    """A text, or the texts of a list; none for anything else."""
    return [each for each in _list(value) if isinstance(each, str) and each]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _listed(config: dict[str, Any], key: str) -> list[Any]:
    """The elements of every list of a name, at any depth."""
    lists = (value.get(key) for _, value in walk(config) if isinstance(value, dict))
    return [each for found in lists if isinstance(found, list) for each in found]
