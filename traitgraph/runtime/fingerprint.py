"""A fast checksum of a model's weights, bit by bit: whether a base came back exactly as it was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_WIDTH = 4096
_PRIME = 0x9E3779B1


def weights_checksum(model: torch.nn.Module) -> str:
    """16 hex digits that change with any bit of any parameter, and when values change places.

    Reads memory once at its speed, on the device. Guards against mistakes, not against an adversary.
    """
    total = 0
    for name, parameter in model.named_parameters():
        total = (total * _PRIME + tensor_checksum(parameter.detach()) + len(name)) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def tensor_checksum(tensor: torch.Tensor) -> int:
    """Sum of the bits as integers, weighted by row and by column of a fixed width, modulo 2^64."""
    import torch

    words = _words(tensor)
    whole = words[: words.numel() // _WIDTH * _WIDTH].view(-1, _WIDTH)
    columns = torch.arange(1, _WIDTH + 1, device=words.device)
    rows = torch.arange(1, whole.shape[0] + 1, device=words.device)
    rest = words[whole.numel() :].long()
    total = (whole.sum(0, dtype=torch.int64) * columns).sum() + (whole.sum(1, dtype=torch.int64) * rows).sum() * _PRIME
    return int(total + (rest * columns[: rest.numel()]).sum()) & 0xFFFFFFFFFFFFFFFF


def _words(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's bits as int32 where its size allows, else as int16 or bytes; flat."""
    import torch

    flat = tensor.contiguous().reshape(-1)
    nbytes = flat.numel() * flat.element_size()
    if nbytes % 4 == 0:
        return flat.view(torch.uint8).view(torch.int32) if flat.element_size() < 4 else flat.view(torch.int32)
    return flat.view(torch.uint8)
