"""Random bits by counting: element i of a tensor always gets the same bits, on every machine, device and thread.

The stream of one (seed, vector, tensor) is the upper 31 bits of mix(a * i + b mod 2^32) for i = 0, 1, ..., where `a`
(odd) and `b` are 32 bits each of a BLAKE2b digest of the three names, and mix is the 32-bit finaliser "lowbias32" found
by Chris Wellons without its last step, which changes lower bits only: x ^= x >> 16, x *= 0x7feb352d, x ^= x >> 15,
x *= 0x846ca68b. Order of tensors, shards and other vectors do not enter.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


ONE = 1 << 31
"""How many values the bits have."""
HALF = ONE // 2
"""Bits are uniform in [-HALF, HALF)."""
_BLOCK = 1 << 32
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)


def random_bits(
    seed: int, vector: str, tensor: str, start: int, count: int, device: torch.device | None = None
) -> torch.Tensor:
    """Bits of elements [start, start + count): int32 in [-2^30, 2^30), the caller's to change."""
    import torch

    if start // _BLOCK != (start + count - 1) // _BLOCK:
        here = _BLOCK - start % _BLOCK
        left = random_bits(seed, vector, tensor, start, here, device)
        return torch.cat([left, random_bits(seed, vector, tensor, start + here, count - here, device)])
    names = "\0".join((str(seed), vector, tensor, str(start // _BLOCK)))
    word = blake2b(names.encode(), digest_size=8, person=b"traitgraph mask").digest()
    factor, shift = int.from_bytes(word[:4], "little") | 1, int.from_bytes(word[4:], "little")
    x = (_ramp(count, device) * _signed(factor)).add_(_signed(factor * (start % _BLOCK) + shift))
    # Mix the words in place: products of int32 wrap, and a shift keeps the sign, whose copies are cut off.
    shifted = x.bitwise_right_shift(16).bitwise_and_(0xFFFF)
    x.bitwise_xor_(shifted).mul_(_signed(_MULTIPLIERS[0]))
    torch.bitwise_right_shift(x, 15, out=shifted).bitwise_and_(0x1FFFF)
    x.bitwise_xor_(shifted).mul_(_signed(_MULTIPLIERS[1]))
    return x.bitwise_right_shift_(1)


@lru_cache(maxsize=4)
def _ramp(count: int, device: torch.device | None) -> torch.Tensor:
    import torch

    return torch.arange(count, dtype=torch.int32, device=device)


def random_shares(
    seed: int, vector: str, tensor: str, start: int, count: int, device: torch.device | None = None
) -> torch.Tensor:
    """The same bits as numbers, uniform in [0, 1): float32."""
    return random_bits(seed, vector, tensor, start, count, device).float().mul_(1 / ONE).add_(0.5)


def _signed(word: int) -> int:
    """A number modulo 2^32 as int32."""
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >= 1 << 31 else word


def keep_below(values: torch.Tensor, bits: torch.Tensor, density: float) -> torch.Tensor:
    """`values` (float32, changed in place) with 0 wherever the bits' share is `density` or more; `bits` are used up.

    The mask is made of sign bits and applied to the bits of the values: several times faster than comparing.
    """
    import torch

    limit = round(density * ONE) - HALF
    if limit >= HALF:
        return values
    keep = bits.sub_(limit).bitwise_right_shift_(31)  # all ones where bits < limit, else 0
    values.view(torch.int32).bitwise_and_(keep)
    return values
