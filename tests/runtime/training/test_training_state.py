"""State of optimizers and generators in plain files."""

from __future__ import annotations

import random
from collections import OrderedDict
from pathlib import Path

import pytest

from traitgraph.runtime.training.checkpoints import random_state, read_state, set_random_state, write_state


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Numbers as keys, tuples, tensors of every type, and two names for one tensor."""
    import torch

    shared = torch.arange(3, dtype=torch.uint8)
    state = {
        "state": {
            0: {"step": torch.tensor(7.0), "average": torch.ones(2, 3, dtype=torch.bfloat16)},
            1: {"map": shared},
        },
        "param_groups": [{"betas": (0.9, 0.999), "lr": 1e-4, "params": [0, 1], "foreach": None, "fused": True}],
        "shared": shared,
    }
    write_state(tmp_path / "optimizer", state)
    back = read_state(tmp_path / "optimizer")
    assert back["param_groups"] == state["param_groups"]
    assert type(back["param_groups"][0]["betas"]) is tuple
    assert list(back["state"]) == [0, 1]
    for name in ("step", "average"):
        torch.testing.assert_close(back["state"][0][name], state["state"][0][name], rtol=0, atol=0)  # type: ignore[index]
    assert torch.equal(back["shared"], shared)
    assert torch.equal(back["state"][1]["map"], shared)


def test_what_is_no_plain_data_is_refused_by_name(tmp_path: Path) -> None:
    """It would not come back as it was."""
    with pytest.raises(TypeError, match=r"cannot hold a pathlib\.\w+"):
        write_state(tmp_path / "state", {"folder": tmp_path})
    write_state(tmp_path / "state", OrderedDict(a=1))
    assert read_state(tmp_path / "state") == {"a": 1}


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    import numpy
    import torch

    random.gauss(0, 1)  # keeps a second value in the state
    numpy.random.standard_normal()  # so does numpy
    write_state(tmp_path / "random", random_state())

    def drawn() -> list[float]:
        return [random.gauss(0, 1), float(numpy.random.standard_normal()), float(torch.randn(()))]

    first = drawn()
    assert drawn() != first
    set_random_state(read_state(tmp_path / "random"))
    assert drawn() == first
