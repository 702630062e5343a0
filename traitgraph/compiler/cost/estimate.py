"""How long a job takes on which device: the store's own record of such jobs, else a range from work and hardware."""

from __future__ import annotations

from math import ceil

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, Stage, shared_json
from traitgraph.specs.jobs.results import duration_names
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.job_kinds import kind_of
from traitgraph.specs.study.training import Training

from .hardware import NOTHING, Device, Range, device_for, total
from .work import bytes_per_weight, distinct_models, model_passes, size_from_name, work_of

SPREAD = Range(0.7, 1.5)
"""How far a job may be from the median of such jobs in the store."""

START = Range(8, 40)
"""Starting a process with its libraries. [s]"""

LOAD_BANDWIDTH = Range(0.3e9, 3e9)
"""Reading weights from a disk or a file system. [bytes/s]"""

BATCH = Range(8, 64)
"""Sequences that are decoded side by side."""

TRAIN_MEMORY = Range(1.3, 9.0)
"""Memory of training by that of the weights: adapters at the low end, every weight with AdamW at the high end."""


class Estimator:
    """Seconds, devices and sizes of the jobs of one draft."""

    def __init__(self, draft: Draft, context: Context) -> None:
        self._draft, self._context = draft, context
        self._seconds: dict[int, Range] = {}

    def seconds(self, stage: Stage) -> Range:
        """Seconds that one job of a stage takes, without loading its model."""
        known = self._seconds.get(id(stage))
        if known is None:
            known = self._seconds[id(stage)] = self._measured(stage) or self._computed(stage)
        return known

    def weights(self, stage: Stage) -> Range:
        """Weights of the model that a stage loads; nothing for a stage without a model."""
        model = stage.template.get("model")
        return NOTHING if model is None else self.size(model)

    def size(self, model: object) -> Range:
        """Weights of one model."""
        known = self._draft.sizes.get(encode(model))
        return Range.exactly(known) if known else size_from_name(model)

    def _loaded_bytes(self, stage: Stage) -> Range:
        """Bytes of all the weights that a stage loads, each model once."""
        return total([self.size(model).times(bytes_per_weight(model)) for model in distinct_models(stage)])

    def device(self, stage: Stage) -> Device:
        """What the stage would run on."""
        return device_for(self._context.device, self.weights(stage).middle)

    def devices(self, stage: Stage) -> int:
        """How many of them one job needs so that the model fits, with room for activations and optimiser."""
        if "model" not in stage.template or self.device(stage).name == "cpu":
            return 0
        factor = 1.2
        training = stage.template.get("training")
        if isinstance(training, Training):
            factor = TRAIN_MEMORY.low if training.lora is not None else TRAIN_MEMORY.high
        needed = self._loaded_bytes(stage).middle * factor
        return max(1, ceil(needed / (self.device(stage).memory * 1e9)))

    def loading(self, stage: Stage) -> Range:
        """Seconds to start a process and load the stage's model."""
        return START.plus(self._loaded_bytes(stage).over(LOAD_BANDWIDTH))

    def is_measured(self, stage: Stage) -> bool:
        """Whether the store knows how long such jobs take."""
        return self._measured(stage) is not None

    def _measured(self, stage: Stage) -> Range | None:
        names = duration_names(stage.kind, shared_json(stage))
        same_model = names[: 2 if "model" in stage.template else len(names)]
        found = next((self._context.durations[name] for name in same_model if name in self._context.durations), None)
        return None if found is None else Range.exactly(max(found, 0.01)).times(SPREAD)

    def _computed(self, stage: Stage) -> Range:
        fixed = Range(*kind_of(stage.kind).seconds)
        if "model" not in stage.template:
            return fixed
        device, work = self.device(stage), work_of(stage, self._draft)
        passes = [(self.size(model), bytes_per_weight(model)) for model in model_passes(stage)]
        weights, moved = total([size for size, _ in passes]), total([size.times(width) for size, width in passes])
        many = max(1, self.devices(stage))
        rate = device.tflops * 1e12 * many
        training = stage.template.get("training")
        # Forward: 2 FLOP for each weight and token; backward: 4, or 2 where only adapters learn (no weight gradients).
        backward = 2.0 if isinstance(training, Training) and training.lora is not None else 4.0
        reading = work.read.times(weights).times(2.0).over(device.forward.times(rate))
        learning = work.learnt.times(weights).times(2.0 + backward).over(device.train.times(rate))
        step = moved.over(device.stream.times(device.bandwidth * 1e12))
        writing = work.written.times(step).over(BATCH).over(many)
        in_place = (
            weights.times(6.0).over(device.stream.times(device.bandwidth * 1e12)) if stage.kind == "merge" else NOTHING
        )
        return fixed.plus(reading).plus(learning).plus(writing).plus(in_place)
