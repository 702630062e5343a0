"""Train personality models: trl's SFTTrainer or DPOTrainer, an adapter by peft or all weights.

The base of the session comes back as it was. Equal parameters and seeds give equal bytes in one environment, whatever
ran before in the same process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.process import quiet_libraries, randomness_kept, world_size
from traitgraph.runtime.models.chat import as_heard
from traitgraph.runtime.models.loading import LoadedModel, load_model, open_model
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.study.training import DpoTraining, Lora

from .callbacks import BestState, progress_callback
from .checkpoints import resumable, train_with_checkpoints
from .rows import ASKED, AnyTrain, Row, cut_rows, hold_back, trainer_rows

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, Trainer
    from trl import DPOConfig, SFTConfig


ADAPTER_FOLDER = "adapter"
MODEL_FOLDER = "model"
RECORD_FILE = "training.json"

TARGETS: dict[str, str | list[str]] = {
    "all-linear": "all-linear",
    "attention": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "mlp": ["gate_proj", "up_proj", "down_proj"],
}
"""Module names of the Llama family (Llama, Mistral, Qwen, Gemma); all-linear is found by peft in any architecture."""


def train(context: JobContext, params: AnyTrain) -> None:
    """Train on the rows of one trait and level; or on those of a trait, or of all, each under its own instruction.

    writes  adapter/ (peft) or, without LoRA, model/ (all weights, float32); training.json
    raises  DialogueError when the data have no such row (or, for DPO, no pair)
    """
    train_on(context, params, trainer_rows(context, params))


def train_on(context: JobContext, params: AnyTrain, rows: Sequence[Row]) -> None:
    """Train on these rows, and write what `train` writes: for trainings of other packages."""
    if params.training.lora is None:
        # Every weight changes: a copy of one's own, in float32 so that small steps are not rounded away.
        own = load_model(context, params.model, "float32")
        record = _run_training(context, params, own, rows)
    else:
        shared = open_model(context, params.model)
        leave_subject(context, shared)  # an assessment before this job may have left its subject in place
        with quiet_libraries(), _base_kept(shared.model):
            record = _run_training(context, params, shared, rows)
    (context.out / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _run_training(context: JobContext, params: AnyTrain, loaded: LoadedModel, rows: Sequence[Row]) -> Row:
    """Train in place on `loaded`, save into the artifact, take the adapter off again; returns the record."""
    import datasets  # noqa: F401  # before the block, which silences what is imported

    started = time.monotonic()
    validation, held = params.training.validation, list[Row]()
    rows = [{**row, "prompt": as_heard(loaded.tokenizer, row["prompt"])} for row in rows]
    if validation is not None:
        rows, held = hold_back(rows, validation.share, params.seed)
    with quiet_libraries(), randomness_kept():  # a training seeds every generator
        trainer = _trainer(context, params, loaded, rows, held)
        best = BestState(trainer, context.partial) if held else None
        if best is not None:
            trainer.add_callback(best.callback())
        try:
            for given, left, what in ((rows, trainer.train_dataset, ""), (held, trainer.eval_dataset, " held back")):
                if given and not len(left):
                    longest = params.training.max_length
                    raise DialogueError(f"all {len(given)} rows{what} are longer than `max_length`, {longest} tokens")
            dropped = len(rows) - len(trainer.train_dataset)
            cut = cut_rows(params.training, loaded, rows, dropped, tell=trainer.is_world_process_zero())
            train_with_checkpoints(trainer, context)
            if best is not None:
                best.put_back()
            trainer.model.save_pretrained(context.out / (ADAPTER_FOLDER if params.training.lora else MODEL_FOLDER))
        finally:
            if params.training.lora is not None:
                trainer.model.unload()
        if params.training.lora is None:
            loaded.tokenizer.save_pretrained(context.out / MODEL_FOLDER)
        log = [entry for entry in trainer.state.log_history if "loss" in entry]
        first = trainer.train_dataset[0]
        seen = loaded.tokenizer.decode(first.get("input_ids") or [*first["prompt_ids"], *first["chosen_ids"]])
    return {
        "trait": params.trait,
        "level": params.level if isinstance(params, TrainParams) else None,
        "rows": len(trainer.train_dataset),
        "rows_too_long": dropped,
        "rows_cut": cut,
        "steps": trainer.state.global_step,
        "losses": [entry["loss"] for entry in log],
        "tokens": int(log[-1].get("num_tokens", 0)) if log else 0,
        "model_sees": seen,
        **({"validation": best.record()} if best else {}),
        "seconds": round(time.monotonic() - started, 3),
    }


def _trainer(
    context: JobContext, params: AnyTrain, loaded: LoadedModel, rows: Sequence[Row], held: Sequence[Row]
) -> Trainer:
    from transformers import PrinterCallback
    from trl import DPOTrainer, SFTTrainer

    dpo, lora = isinstance(params.training, DpoTraining), params.training.lora
    # Without one of ours trl would load its reference by the model's name: another revision, or another file format.
    reference = {"ref_model": load_model(context, params.model, "float32").model} if dpo and not lora else {}
    trainer: Trainer = resumable(DPOTrainer if dpo else SFTTrainer)(
        model=loaded.model,
        args=trainer_arguments(params, loaded, context.partial or context.out),
        train_dataset=_dataset(rows),
        eval_dataset=_dataset(held) if held else None,
        processing_class=loaded.tokenizer,
        peft_config=_lora_config(lora, loaded.model) if lora else None,
        **reference,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress_callback(context))
    return trainer


def _dataset(rows: Sequence[Row]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_list(list(rows)).remove_columns(ASKED)


def trainer_arguments(params: AnyTrain, loaded: LoadedModel, folder: Path) -> SFTConfig | DPOConfig:
    """trl's arguments, with its defaults for GPUs (bf16, gradient checkpointing) replaced by what the device can do."""
    from trl import DPOConfig, SFTConfig

    training = params.training
    batch_size, accumulation = shared_batch(training.batch_size, training.accumulation, world_size())
    on_gpu = loaded.device.type == "cuda"
    common: Row = {
        "output_dir": str(folder),
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": 1,
        "use_cpu": not on_gpu,
        "bf16": on_gpu and params.model.dtype == "bfloat16",
        "fp16": False,
        "gradient_checkpointing": on_gpu,
        "dataloader_pin_memory": on_gpu,
        "seed": params.seed,
        "data_seed": params.seed,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_steps,
        "weight_decay": training.weight_decay,
        "optim": "adamw_torch_fused" if training.optimiser in (None, "adamw") else training.optimiser,
        "max_grad_norm": training.max_gradient_norm or 1.0,
        "per_device_train_batch_size": batch_size,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": training.epochs or 1.0,
        "max_steps": training.steps or -1,
        "max_length": training.max_length,
    }
    if training.validation is not None:
        common |= {
            "eval_strategy": "steps",
            "eval_steps": training.validation.every,
            "per_device_eval_batch_size": batch_size,
            "prediction_loss_only": True,
        }
    if isinstance(training, DpoTraining):
        loss = "robust" if training.label_smoothing else "sigmoid"  # trl's "sigmoid" takes no notice of the smoothing
        arguments = DPOConfig(**common, beta=training.beta, label_smoothing=training.label_smoothing, loss_type=[loss])
    else:
        arguments = SFTConfig(**common, completion_only_loss=True)
    # Where a lone process sees several GPUs, transformers would give each of them a whole batch.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def shared_batch(batch_size: int, accumulation: int, processes: int) -> tuple[int, int]:
    """Rows per forward pass and passes per step of each process, so that a step sees as many rows as one process would.

    Resources must not change what is computed. Raises ValueError when the rows of a step cannot be shared evenly.

    >>> shared_batch(8, 4, 2), shared_batch(8, 1, 4), shared_batch(6, 3, 2)
    ((8, 2), (2, 1), (3, 3))
    """
    rows = batch_size * accumulation
    if rows % processes:
        raise ValueError(
            f"{processes} processes cannot share the {rows} rows of a step (batch_size {batch_size} x accumulation "
            f"{accumulation}) evenly; ask for a number of GPUs that divides {rows} in the cluster file"
        )
    own = rows // processes
    size = max(size for size in range(1, min(batch_size, own) + 1) if own % size == 0)
    return size, own // size


def _lora_config(lora: Lora, model: PreTrainedModel) -> LoraConfig:
    """peft's settings. Raises ValueError for a target that no linear layer has."""
    from peft import LoraConfig
    from torch.nn import Linear

    targets = TARGETS[lora.targets] if isinstance(lora.targets, str) else list(lora.targets)
    if not isinstance(lora.targets, str):  # peft would skip a name that no layer has in silence
        head = model.get_output_embeddings()  # its weights may be those of the embeddings: no adapter there
        layers = [name for name, each in model.named_modules() if isinstance(each, Linear) and each is not head]
        if missing := [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in layers)]:
            there = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in layers))
            raise ValueError(
                f"`lora.targets`: no linear layer of the model is called {missing[0]!r}; there are: {there}"
            )
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        use_rslora=lora.rank_stabilised,
        bias="none",
        task_type="CAUSAL_LM",
    )


@contextmanager
def _base_kept(model: PreTrainedModel) -> Iterator[None]:
    """Put back what a training changes around the frozen weights.

    Gradient flags, mode, configuration, hooks (gradient checkpointing leaves some on the embedding), and the attributes
    of the model object: trl and accelerate replace `forward`, and every training would wrap the wrapper of the last.
    """
    import copy

    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    config, generation = copy.deepcopy(model.config), copy.deepcopy(model.generation_config)
    attributes = dict(model.__dict__)
    hooks = {module: set(module._forward_hooks) for module in model.modules()}
    try:
        yield
    finally:
        if model.is_gradient_checkpointing:
            model.gradient_checkpointing_disable()
        for module, kept in hooks.items():
            for added in module._forward_hooks.keys() - kept:
                del module._forward_hooks[added]
        model.__dict__.clear()
        model.__dict__.update(attributes)
        model.config.__dict__.update(config.__dict__)
        model.generation_config.__dict__.update(generation.__dict__)
        for parameter, flag in flags:  # by itself: under an adapter that could not be taken off it has another name
            parameter.requires_grad_(flag)
            parameter.grad = None
        model.eval()
