"""What a job function is given."""

from __future__ import annotations

from pathlib import Path

from traitgraph.runtime.jobs.context import Session


class Model:
    def __init__(self, closed: list[str], name: str) -> None:
        self.closed, self.name = closed, name

    def close(self) -> None:
        self.closed.append(self.name)


def test_a_session_loads_once_and_closes_newest_first() -> None:
    closed: list[str] = []
    with Session() as session:
        first = session.get("base", lambda: Model(closed, "base"))
        assert session.get("base", lambda: Model(closed, "again")) is first
        session.get("expert", lambda: Model(closed, "expert"))
    assert closed == ["expert", "base"]
    assert "base" not in session


def test_a_session_can_drop_one_value(tmp_path: Path) -> None:
    closed: list[str] = []
    with Session() as session:
        session.get("base", lambda: Model(closed, "base"))
        session.drop("base")
        session.drop("unknown")
        assert closed == ["base"]
