"""Tables that other programs write, row by row: CSV, Parquet, and folders that `datasets` has saved (Arrow).

Nothing that a file holds is run. Parquet and Arrow need pyarrow, which is imported when a row is asked for. Knows no
field of ours.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

from traitgraph.specs.source.hashing import SPLITS, STATE
from traitgraph.specs.source.library import is_file, is_folder

Table = Literal["csv", "parquet", "arrow"]
"""How a table is written; `arrow` is a folder of `save_to_disk`."""
TABLES: dict[str, Table] = {".csv": "csv", ".parquet": "parquet"}


class TableRow(NamedTuple):
    """Its line in a text, else its number, from 1; its first line in a text, else ''; what its columns hold."""

    number: int
    text: str
    values: dict[str, object]


class TableError(ValueError):
    """A table that cannot be read: the reason, where in a text, and what helps."""

    def __init__(self, reason: str, line: int = 0, text: str = "", hint: str | None = None) -> None:
        super().__init__(reason)
        self.line, self.text, self.hint = line, text, hint


def table_of(path: Path) -> Table | None:
    """How a file or folder is written, by its name; None: as JSON."""
    return "arrow" if is_folder(path) else TABLES.get(path.suffix)


def reach(values: Mapping[str, object], name: str) -> object:
    """What a column holds, or what stands inside one: `meta.trait`, `messages.-1.content`; None where nothing is.

    A column whose whole name is the path goes before.
    """
    if name in values or "." not in name:
        return values.get(name)
    found: object = values
    for part in name.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.lstrip("-").isdecimal():
            place = int(part)
            found = found[place] if -len(found) <= place < len(found) else None
        else:
            return None
    return found


def rows_of(path: Path) -> Iterator[TableRow]:
    """The rows of a file: JSON, one object a line (blank lines are skipped), CSV or Parquet.

    Raises TableError, OSError.
    """
    if (table := table_of(path)) not in (None, "csv"):
        yield from arrow_rows(path, table)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise TableError(f"not UTF-8: {problem.reason} at byte {problem.start:,}") from problem
    if table == "csv":
        yield from csv_rows(text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                yield TableRow(number, line, json.loads(line))
        except (ValueError, RecursionError) as problem:
            why = f": {problem.msg} at column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else ""
            raise TableError(f"not JSON{why}", number, line, "write one object a line: {...}") from problem


def csv_rows(text: str) -> Iterator[TableRow]:
    """The rows of a CSV text: a header, commas, double quotes. A cell without text is None. Raises TableError."""
    csv.field_size_limit(sys.maxsize)  # else cells of more than 128 KiB are refused
    lines = list(StringIO(text, newline=""))
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            first = lines[line - 1].rstrip("\r\n")
            if not header:
                header = _header(cells, first, line)
            elif cells and len(cells) != len(header):
                raise TableError(f"{len(cells)} cells under a header of {len(header)}", line, first, _QUOTES)
            elif cells:
                yield TableRow(line, first, {key: cell or None for key, cell in zip(header, cells, strict=True)})
    except csv.Error as problem:
        raise TableError(f"not CSV: {problem}", start, lines[start - 1].rstrip("\r\n"), _QUOTES) from problem


_QUOTES = "a cell with a comma, a quote or a line break stands in double quotes, and a quote inside it twice"


def _header(cells: list[str], text: str, line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and any(mark in text for mark in ";\t|"):
        raise TableError("the header has one column", line, text, "columns are parted by commas")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise TableError(f"two columns are called '{twice}'", line, text)
    return names


def arrow_rows(path: Path, table: Table, columns: Collection[str] | None = None) -> Iterator[TableRow]:
    """The rows of a Parquet file, or of a folder that `datasets` has saved; `columns`: only these, if they are there.

    Rows of a folder with splits say theirs in a column `split`, unless they have one. Raises TableError, OSError.
    """
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as problem:
        raise TableError("pyarrow, which reads it, is not installed", hint="pip install pyarrow") from problem

    number = 0
    try:
        for split, file in [("", path)] if table == "parquet" else _files(path):
            with pyarrow.memory_map(str(file)) as stream:
                if table == "parquet":
                    whole = pyarrow.parquet.ParquetFile(stream)
                    names = None if columns is None else [n for n in whole.schema_arrow.names if n in columns]
                    batches = whole.iter_batches(1024, columns=names)
                else:
                    batches = iter(pyarrow.ipc.open_stream(stream))
                for batch in batches:
                    if columns is not None:
                        batch = batch.select([name for name in batch.schema.names if name in columns])
                    features = _features(batch.schema.metadata or {})
                    for values in batch.to_pylist():
                        number += 1
                        values = labelled(values, features) if features else values
                        yield TableRow(number, "", {"split": split, **values} if split else values)
    except (pyarrow.ArrowException, UnicodeDecodeError) as problem:
        reason = str(problem).strip().partition("\n")[0]
        raise TableError(f"not a table that can be read ({type(problem).__name__}: {reason})") from problem


def _features(metadata: Mapping[bytes, bytes]) -> Any:
    """What `datasets` wrote of the columns of a table; None where it has no class labels."""
    told = metadata.get(b"huggingface", b"")
    with suppress(ValueError, LookupError, TypeError):
        return json.loads(told)["info"]["features"] if b"ClassLabel" in told else None


def labelled(value: Any, feature: Any) -> Any:
    """A value with a name for each number that is a class label, by the `features` of `datasets` as plain data."""
    if isinstance(feature, Mapping) and isinstance(value, Mapping):
        return {key: labelled(each, feature.get(key)) for key, each in value.items()}
    names = feature["names"] if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" else ()
    return names[value] if value in range(len(names)) else value  # -1: no label


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file of a saved data set, in order, with its split ('' without splits)."""
    if is_file(folder / SPLITS):
        for name in _listed(folder / SPLITS, "splits"):
            yield from ((name, file) for _, file in _files(_inside(folder, name)))
        return
    yield from (("", _inside(folder, str(each.get("filename")))) for each in _listed(folder / STATE, "_data_files"))


def _listed(file: Path, key: str) -> list[Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))[key]
    except (ValueError, KeyError, TypeError) as problem:
        raise TableError(f"{file.name} does not list `{key}`: save the data set again") from problem
    kind = str if key == "splits" else dict
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise TableError(f"{file.name} does not list `{key}`: save the data set again")
    return found


def _inside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise TableError(f"'{name}' leads out of the folder")
    return folder / name
