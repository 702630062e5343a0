"""A fast checksum of a model's weights, bit by bit: whether a base came back exactly as it was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


_ROWS, _WIDTH = 64, 4096
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
    """The bits as 64-bit words, summed by row and by column of blocks, each sum weighted by its place, modulo 2^64."""
    words = _words(tensor)
    blocks = words[: words.numel() // (_ROWS * _WIDTH) * (_ROWS * _WIDTH)].view(-1, _ROWS, _WIDTH)
    parts = (blocks.sum(1), blocks.sum(2), words[blocks.numel() :])
    total = 0
    for part in parts:
        total = total * _PRIME + _by_place(part.reshape(-1))
    return total & 0xFFFFFFFFFFFFFFFF


def _by_place(words: torch.Tensor) -> int:
    import torch

    return int((words * torch.arange(1, words.numel() + 1, device=words.device)).sum())


def _words(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's bits as int64, flat, filled up with zeros."""
    import torch

    octets = tensor.contiguous().reshape(-1).view(torch.uint8)
    missing = -octets.numel() % 8
    return (torch.nn.functional.pad(octets, (0, missing)) if missing else octets).view(torch.int64)
