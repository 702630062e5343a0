"""A small table of accelerators, for prices. Nothing here changes a result."""

from __future__ import annotations

from dataclasses import dataclass

from .ranges import Range

FORWARD, TRAIN, STREAM = Range(0.15, 0.55), Range(0.10, 0.45), Range(0.30, 0.80)


@dataclass(frozen=True)
class Device:
    """What one accelerator can do at best, and the share of it that programs like ours reach."""

    name: str
    tflops: float
    """Dense matrix products in bfloat16 (float32 on a CPU). [1e12 FLOP/s]"""
    bandwidth: float
    """Memory. [1e12 bytes/s]"""
    memory: float
    """[1e9 bytes]"""
    forward: Range = FORWARD
    """Share of `tflops` in a batched forward pass: short prompts reach the lower end."""
    train: Range = TRAIN
    """Share of `tflops` in training."""
    stream: Range = STREAM
    """Share of `bandwidth` while decoding."""


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        # Peak figures: NVIDIA's data sheets of each product, dense (without sparsity), SXM form where there are two.
        Device("v100", 125, 0.90, 32),
        Device("a10", 125, 0.60, 24),
        Device("l4", 121, 0.30, 24),
        Device("rtx4090", 165, 1.01, 24),
        Device("a6000", 155, 0.77, 48),
        Device("l40s", 362, 0.86, 48),
        Device("a100-40gb", 312, 1.56, 40),
        Device("a100", 312, 2.04, 80),
        Device("h100", 989, 3.35, 80),
        Device("h200", 989, 4.80, 141),
        Device("b200", 2250, 8.00, 180),
        # Measured on two cores of a server with a model of 135 M weights in float32: forward passes reach 0.1-0.2
        # TFLOP/s, LoRA training 0.05-0.06; more cores lie above. Decoding: 17 tokens/s alone, 80 in a batch of eight.
        Device("cpu", 0.2, 0.03, 16, forward=Range(0.4, 2.0), train=Range(0.2, 1.0), stream=Range(0.15, 0.6)),
    )
}

SMALL = 1e9
"""Models below this many weights are priced on a CPU unless a device is named."""


def device_for(name: str | None, parameters: float) -> Device:
    """The named device, or what a model of this size is most likely run on. Raises KeyError for an unknown name."""
    if name is not None:
        return DEVICES[name]
    return DEVICES["cpu" if parameters < SMALL else "a100"]
