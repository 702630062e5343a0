"""A model of the hub that cannot be had: named, told before anything is trained, and asked for once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from tests.tiny_model import save_tiny_model
from traitgraph.api.calls import UsageError
from traitgraph.api.preflight import check_hub
from traitgraph.launchers.slurm.watch.doctor import hub_models
from traitgraph.runtime.data.dialogues import read_questions
from traitgraph.runtime.jobs.locations import Locations, hub_folder, pinned
from traitgraph.runtime.models.loading import load_model
from traitgraph.runtime.store.errors import HubError, cause_of
from traitgraph.specs.jobs.params import JobRow, JobTable, VectorParams
from traitgraph.specs.jobs.refs import HubData, HubModel
from traitgraph.specs.source.hashing import digest

REF = HubModel(id="some-owner/some-model", revision="main")


def test_a_model_that_cannot_be_had_is_named_in_the_cause(make_context: MakeContext) -> None:
    context = make_context(VectorParams(model=REF))
    for read in (lambda: load_model(context, REF), lambda: hub_folder(REF.id)):
        with pytest.raises(HubError, match=r"^some-owner/some-model at main: HF_HUB_OFFLINE is set") as refused:
            read()
        assert cause_of(refused.value).startswith("some-owner/some-model at main")


def test_a_folder_of_the_same_name_is_not_taken_for_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    """transformers would load it: what is read must not depend on where one stands."""
    import torch
    from huggingface_hub import constants
    from safetensors.torch import load_file

    save_tiny_model(tmp_path / REF.id, layers=1)
    monkeypatch.chdir(tmp_path)
    context, data = make_context(VectorParams(model=REF)), HubData(id=REF.id, revision="main")
    with pytest.raises(HubError, match="in place of the hub's; run from another folder"):
        read_questions.load(context, data)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    cached(tmp_path / "cache", "c" * 40)
    snapshot = tmp_path / "cache/models--some-owner--some-model/snapshots" / ("c" * 40)
    save_tiny_model(snapshot, layers=2)
    assert hub_folder(REF.id) == snapshot
    loaded = load_model(context, REF)
    assert loaded.commit == "c" * 40
    found, wanted = loaded.model.state_dict(), load_file(snapshot / "model.safetensors")
    assert all(torch.equal(found[name].float(), each.to(loaded.dtype).float()) for name, each in wanted.items())
    assert loaded.model.config.num_hidden_layers == 2


def cached(root: Path, commit: str) -> None:
    """A model in a cache as the hub's library keeps it."""
    folder = root / "models--some-owner--some-model"
    (folder / "snapshots" / commit).mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / "snapshots" / commit / name).write_text("{}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)


def test_all_files_are_of_the_commit_in_the_cache_where_the_hub_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    """And the record of the artifact says which one it was."""
    from huggingface_hub import constants

    from traitgraph.runtime.models.loading import model_folder

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "c" * 40
    assert pinned(REF.id, "main") == {"revision": "main", "local_files_only": True}
    cached(tmp_path, commit)
    assert pinned(REF.id, "main") == {"revision": commit, "local_files_only": True}
    context = make_context(VectorParams(model=REF))
    locations = context.locations = Locations({}, context.session.get("memory", lambda: None))  # type: ignore[arg-type]
    assert model_folder(context, REF).name == commit
    assert locations.commits == {"some-owner/some-model@main": commit}


def test_a_hub_that_never_answers_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library alone tries for minutes; asked in a process of its own, since the library reads the address once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"http://127.0.0.1:{server.getsockname()[1]}"
        code = "from traitgraph.runtime.jobs import locations; locations.SECONDS = 0.5; "
        code += "print(locations.pinned('some-owner/some-model', 'main'))"
        environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": where}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "{'revision': 'main', 'local_files_only': True}\n"


def table(**params: object) -> JobTable:
    row = JobRow(key=digest("job", "row"), kind="generate", version=1, params=params)
    return JobTable(study="s", locations={}, rows=(row,), tasks=())


def test_experts_and_judges_of_the_hub_are_looked_for_before_anything_runs() -> None:
    """A run that trains first would find out hours later."""
    data = HubData(id="some/data", revision="main").model_dump(mode="json")
    judged = {"judge": {"model": HubModel(id="a/judge", revision="main").model_dump(mode="json")}}
    asked = table(expert=REF.model_dump(mode="json"), benchmark=judged, data=data)
    assert hub_models(asked) == (("some-owner/some-model", "main"), ("a/judge", "main"))
    with pytest.raises(UsageError, match=r"OFFLINE is set.*\n  some-owner/some-model at main\n  a/judge at main"):
        check_hub(asked)
    check_hub(table(data=data))
