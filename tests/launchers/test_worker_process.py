"""The command and the environment of a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import traitgraph
from traitgraph.launchers.worker_process import DEFAULTS, worker_command, worker_environment
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store

from .toys import table, toy

pytestmark = pytest.mark.usefixtures("toy_plugin")


def test_the_command_names_table_task_and_store() -> None:
    assert worker_command(Path("/s/runs/r/table.json"), "01-train-000", Path("/s"), python="python3") == [
        "python3", "-P", "-m", "traitgraph.runtime.worker.task", "/s/runs/r/table.json", "01-train-000",
        "--store", "/s",
    ]  # fmt: skip


def test_training_waits_passively_and_scoring_spins_shortly() -> None:
    waits = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")

    def chosen(user: dict[str, str], *kinds: str) -> dict[str, str]:
        return {name: value for name, value in worker_environment(user, kinds).items() if name in waits}

    assert chosen({}, "train") == chosen({}, "train_joint", "vector") == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert chosen({}, "assess", "merge") == {"GOMP_SPINCOUNT": "10000"}
    for mine in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}):
        assert chosen(mine, "assess") == chosen(mine, "train") == mine


def test_what_the_user_set_stays() -> None:
    user = {"OMP_WAIT_POLICY": "ACTIVE", "TQDM_DISABLE": "0", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "7"}
    environment = worker_environment(user, ["train"], cores=2)
    assert environment.items() >= user.items()
    assert environment.keys() >= DEFAULTS.keys()


def test_side_by_side_workers_share_the_cores() -> None:
    assert worker_environment({}, [], cores=4)["OMP_NUM_THREADS"] == "4"
    assert worker_environment({}, [], cores=0)["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in worker_environment({}, [])


def test_a_checkout_is_found_by_workers_after_the_user_s_own_paths() -> None:
    paths = worker_environment({"PYTHONPATH": "/mine"}, [])["PYTHONPATH"].split(os.pathsep)
    assert paths == ["/mine", str(Path(traitgraph.__file__).parents[1])]


def run_worker(store: Store, task: str, *options: str) -> subprocess.CompletedProcess[str]:
    record = RunRecord.create(store.root, table([toy("a")]))
    command = worker_command(record.table_path, task, store.root)
    return subprocess.run([*command, *options], capture_output=True, text=True, env=worker_environment(os.environ, []))


def test_an_unknown_task_is_a_wrong_call_that_lists_the_tasks(store: Store) -> None:
    ended = run_worker(store, "07-assess-001")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "no task '07-assess-001'" in ended.stderr
    assert "tasks: 00-toy-000" in ended.stderr


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9}'])
def test_an_unreadable_table_is_a_wrong_call(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.json").write_text(content)
    command = worker_command(tmp_path / "table.json", "any", tmp_path)
    ended = subprocess.run(command, capture_output=True, text=True, env=worker_environment(os.environ, []))
    assert ended.returncode == 2
    assert "not a job table" in ended.stderr


def test_a_worker_finds_its_store_from_the_table_and_ends_with_code_0(store: Store) -> None:
    record = RunRecord.create(store.root, table([toy("a")]))
    command = [sys.executable, "-m", "traitgraph.runtime.worker.task", str(record.table_path), "00-toy-000"]
    ended = subprocess.run(command, capture_output=True, text=True, env=worker_environment(os.environ, []))
    assert ended.returncode == 0
    assert store.has("toy", toy("a").key)
    end = record.end("00-toy-000")
    assert end is not None
    assert (end.ok, end.done) == (True, 1)


def test_the_worker_starts_without_heavy_libraries() -> None:
    blocked = "import sys\nfor name in ('torch', 'numpy', 'transformers', 'rich'): sys.modules[name] = None\n"
    subprocess.run([sys.executable, "-c", blocked + "import traitgraph.runtime.worker.task"], check=True)
