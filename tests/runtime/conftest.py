"""One tiny model folder for the whole session, and ways to call a job function as a worker does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.bench import Bench, save_adapter, save_fine_tune
from tests.runtime.contexts import MakeContext
from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model
from traitgraph.runtime.jobs.context import JobContext, Session
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.job_kinds import JobParams


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def model_ref(model_folder: Path) -> FolderModel:
    return FolderModel(digest=digest_path(model_folder))


@pytest.fixture(scope="session")
def dialogue_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dialogues(tmp_path_factory.mktemp("data") / "dialogues.jsonl")


@pytest.fixture(scope="session")
def dialogue_data(dialogue_file: Path) -> FileData:
    return FileData(digest=digest_path(dialogue_file))


@pytest.fixture(scope="session")
def locations(model_folder: Path, dialogue_file: Path) -> dict[str, str]:
    return {digest_path(path): str(path) for path in (model_folder, dialogue_file)}


@pytest.fixture
def make_context(tmp_path: Path, locations: dict[str, str]) -> Iterator[MakeContext]:
    """`make_context(params)`: a context with an empty folder of its own; all share one session and one place table."""
    session = Session()
    made = 0

    def make(params: JobParams, **inputs: tuple[Path, ...]) -> JobContext:
        nonlocal made
        made += 1
        out = tmp_path / f"out-{made}"
        out.mkdir()
        row = JobRow(key=f"{made:032x}", kind=params.kind, version=params.version, params={}, label=f"job {made}")
        return JobContext(row=row, inputs=inputs, out=out, locations=locations, session=session)

    with session:
        yield make


@pytest.fixture
def loaded(make_context: MakeContext, model_ref: FolderModel) -> LoadedModel:
    from traitgraph.specs.jobs.params import VectorParams

    return open_model(make_context(VectorParams(model=model_ref)), model_ref)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Store(tmp_path / "store") as store:
        made = Bench(store, {})
        yield made
        made.session.clear()


@pytest.fixture
def folder(tmp_path: Path, base_folder: Path) -> Path:
    """A folder with the base, two fine-tunes and an adapter, beside which recipes are written."""
    (tmp_path / "base").symlink_to(base_folder)
    for seed in (1, 2):
        save_fine_tune(base_folder, tmp_path / f"tuned{seed}", seed=seed)
    save_adapter(base_folder, tmp_path / "lora", seed=3)
    return tmp_path
