"""Properties of the store over many artifacts, names and damages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.runtime.store.errors import DamagedArtifactError
from traitgraph.runtime.store.store import Store

from .rows import put, row

part = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text not in (".", "..", "manifest.json", ".DS_Store")
)
names = st.lists(part, min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=200), min_size=1, max_size=5).filter(
    lambda tree: not any(other.startswith(f"{name}/") for name in tree for other in tree)
)


@contextmanager
def a_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        yield store


@settings(max_examples=40)
@given(trees)
def test_every_tree_of_files_comes_back_as_it_was(tree: dict[str, bytes]) -> None:
    with a_store() as store:
        put(store, row(), tree)
        artifact = Store(store.root).open("vector", row().key)
        assert {name: (artifact.path / name).read_bytes() for name in artifact.manifest.files} == tree


@settings(max_examples=60)
@given(trees, st.data())
def test_one_changed_byte_anywhere_in_the_data_is_found(tree: dict[str, bytes], data: st.DataObject) -> None:
    with a_store() as store:
        folder = put(store, row(), tree)
        name = data.draw(st.sampled_from(sorted(tree)))
        content = bytearray(tree[name] or b"\0")
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        (folder / name).write_bytes(content)
        assert _is_refused(store)


@settings(max_examples=60)
@given(st.data())
def test_a_changed_manifest_is_refused_or_says_the_same(data: st.DataObject) -> None:
    with a_store() as store:
        manifest = put(store, row()) / "manifest.json"
        content = bytearray(manifest.read_bytes())
        place = data.draw(st.integers(0, 10**6)) % len(content)  # times make a manifest longer or shorter
        content[place] ^= data.draw(st.integers(1, 255))
        before = store.open("vector", row().key).manifest
        manifest.write_bytes(content)
        other = Store(store.root)
        assert not other.has("vector", row().key) or other.open("vector", row().key).manifest == before


@settings(max_examples=100)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_name_leads_out_of_the_store(kind: str, key: str) -> None:
    store = Store(Path("/nowhere/store"))
    try:
        path = store.path(kind, key)
    except ValueError:
        return
    assert path.parent.parent == store.root


def _is_refused(store: Store) -> bool:
    try:
        Store(store.root).open("vector", row().key)
    except DamagedArtifactError:
        return not store.path("vector", row().key).exists()
    return False
