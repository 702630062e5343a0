"""State of optimizers, schedules and random generators in plain files: JSON for the shape, safetensors for tensors.

The libraries write such state as pickles; a store holds none. Only numbers, text, lists, tuples, mappings and tensors
come back, whatever stands in the files.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.store.durable import write_json

if TYPE_CHECKING:
    import torch


PLAIN = (type(None), bool, int, float, str)


def write_state(path: Path, state: object) -> None:
    """Write nested state to `path`.json and `path`.safetensors. Raises TypeError for a value that is no plain data."""
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    shape = _shape(state, tensors)
    save_file(tensors, path.with_suffix(".safetensors"))
    write_json(path.with_suffix(".json"), shape)


def read_state(path: Path) -> Any:
    """What `write_state` was given, with all tensors on the CPU."""
    from safetensors.torch import load_file

    shape = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return _filled(shape, load_file(path.with_suffix(".safetensors")))


def _shape(value: object, tensors: dict[str, torch.Tensor]) -> object:
    """The value as JSON, with names in the places of tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # copied: safetensors refuses shared memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"map": [[_shape(key, tensors), _shape(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_shape(inner, tensors) for inner in value]}
    if isinstance(value, list):
        return [_shape(inner, tensors) for inner in value]
    if type(value) in PLAIN:
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__module__}.{type(value).__qualname__}")


def _filled(shape: Any, tensors: dict[str, torch.Tensor]) -> Any:
    match shape:
        case {"tensor": name}:
            return tensors[name]
        case {"map": pairs}:
            return {_filled(key, tensors): _filled(inner, tensors) for key, inner in pairs}
        case {"tuple": parts}:
            return tuple(_filled(inner, tensors) for inner in parts)
        case list():
            return [_filled(inner, tensors) for inner in shape]
    return shape


def random_state() -> dict[str, object]:
    """State of the generators of Python, numpy and torch, on the CPU and on this process's GPU."""
    import numpy
    import torch

    name, words, *rest = numpy.random.get_state(legacy=True)
    state: dict[str, object] = {
        "python": random.getstate(),
        "numpy": (name, [int(word) for word in words], *rest),
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put the generators where they were."""
    import numpy
    import torch

    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.random.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
