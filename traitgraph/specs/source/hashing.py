"""Canonical bytes and digests: equal values give equal bytes on every machine, Python and pydantic version.

What goes in: the type of each node, text as UTF-8, numbers as normalised decimals (1, 1.0 and 1.00 are one number),
mappings by sorted key. A ``None`` that is the default of its field stays out, so that a new optional field changes no
old digest; one that takes back another default goes in.
What stays out: names, comments, paths, order of keys. The scheme has a version; a change of scheme is a new version.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel

from .library import is_file

DIGEST_BYTES = 16
SCHEME = b"traitgraph/1"
STATE, SPLITS = "state.json", "dataset_dict.json"
"""What `datasets` writes into the folder of a data set that it saves, and of one with splits."""


def encode(value: object, *, nulls: bool = False) -> bytes:
    """Canonical bytes of plain data: None, bool, int, float, Decimal, str, sequences, mappings and specs.

    `nulls` writes the ``None`` entries of mappings as well: inside a spec they are what a user gave. Raises TypeError
    for anything else: a value without a canonical form must not slip into an identity.
    """
    if value is None:
        return b"n"
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int | float | Decimal):
        return _framed(b"d", number_text(value).encode())
    if isinstance(value, str):
        return _framed(b"s", value.encode())
    if isinstance(value, BaseModel):
        given = {name: item for name, item in value if item is not None or takes_back(value, name)}
        return encode(given, nulls=True)
    if isinstance(value, Mapping):
        entries = sorted((str(key), item) for key, item in value.items() if nulls or item is not None)
        return _framed(b"m", b"".join(encode(key) + encode(item, nulls=nulls) for key, item in entries))
    if isinstance(value, Sequence):
        return _framed(b"l", b"".join(encode(item, nulls=nulls) for item in value))
    raise TypeError(f"no canonical form for {type(value).__name__}: {value!r}")


def takes_back(model: BaseModel, name: str) -> bool:
    """Whether ``None`` in this field says something: the field has another default."""
    field = type(model).model_fields.get(name)  # None: a field of one kind of benchmark, whose null says nothing
    return field is not None and not field.is_required() and field.get_default(call_default_factory=True) is not None


def _framed(tag: bytes, body: bytes) -> bytes:
    return tag + str(len(body)).encode() + b":" + body


def number_text(number: float | Decimal) -> str:
    """The shortest plain text of a number: '0.3', '1', '0.00001', '-2.5'; 'nan' and infinities are refused.

    >>> number_text(Decimal("0.30")), number_text(1e-5), number_text(2.0)
    ('0.3', '0.00001', '2')
    """
    exact = number if isinstance(number, Decimal) else Decimal(repr(number))
    if not exact.is_finite():
        raise TypeError(f"not a finite number: {number!r}")
    text = format(exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def digest(tag: str, value: object) -> str:
    """32 hex digits (BLAKE2b-128) of a tagged value; the tag keeps equal contents of two kinds of thing apart."""
    state = blake2b(SCHEME + b"\0" + tag.encode() + b"\0", digest_size=DIGEST_BYTES)
    state.update(encode(value))
    return state.hexdigest()


def digest_file(path: Path) -> str:
    """32 hex digits of a file's content, read in pieces. Raises OSError when it cannot be read, or might never end."""
    if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no plain file (a pipe, a device or a socket)", str(path))
    with path.open("rb") as stream:
        return digest_stream(stream)


def digest_path(path: Path) -> str:
    """32 hex digits of a file's content, or of a folder: the names and contents of the files below it.

    Hidden files and ``__pycache__`` do not count. Raises OSError when something cannot be read.
    """
    if not path.is_dir():
        return digest_file(path)
    return digest("folder", {file.relative_to(path).as_posix(): digest_file(file) for file in counted_files(path)})


def counted_files(path: Path) -> list[Path]:
    """The files that a digest of the path covers: a file itself, else all below a folder but what is hidden.

    Of a saved data set not what `map` and the like have put beside its rows since, for themselves.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.rglob("*") if file.is_file() and not is_hidden(file.relative_to(path))]
    if not is_saved(path):
        return files
    listed = b"".join(file.read_bytes() for file in files if file.name == STATE)
    return [file for file in files if not file.match("cache-*.arrow") or file.name.encode() in listed]


def is_saved(folder: Path) -> bool:
    """Whether `datasets` has saved a folder."""
    return is_file(folder / STATE) or is_file(folder / SPLITS)


def is_hidden(relative: Path) -> bool:
    """Whether a path below a folder has no part in the folder's digest."""
    return any(part.startswith(".") or part == "__pycache__" for part in relative.parts)


def digest_stream(stream: BinaryIO) -> str:
    """32 hex digits (BLAKE2b-128, no tag) of what is left in a binary stream."""
    state = blake2b(digest_size=DIGEST_BYTES)
    while piece := stream.read(1 << 20):
        state.update(piece)
    return state.hexdigest()
