"""What people write from habit, from papers and from other programs, and the names that the language has for it.

For hints only: nothing here is accepted in a spec. Words are in lower case with `-` for `_`.
"""

from __future__ import annotations

_HABITS = {
    # training, as in trl, peft and papers
    "learning_rate": "lr",
    "batch_size": "bs batch per-device-train-batch-size train-batch-size micro-batch-size",
    "accumulation": "gradient-accumulation-steps grad-accum",
    "epochs": "epoch num-train-epochs",
    "steps": "max-steps iterations",
    "weight_decay": "wd",
    "schedule": "lr-scheduler lr-scheduler-type",
    "max_gradient_norm": "max-grad-norm",
    "max_length": "max-seq-length cutoff-len",
    "warmup_steps": "warmup",
    "optimiser": "optim optimizer",
    "validation": "eval-steps evaluation-strategy load-best-model-at-end val-size",
    "share": "test-size",
    "instruction": "system-prompt",
    "beta": "dpo-beta pref-beta",
    "lora": "peft-config",
    "rank": "r lora-r lora-rank",
    "dropout": "lora-dropout",
    "targets": "target-modules lora-target",
    "rank_stabilised": "use-rslora rslora",
    # keys of a study
    "study": "name",
    "model": "base base-model",
    "data": "dataset",
    "traits": "personality",
    "alpha": "lora-alpha coefficient strength α lambda scale scaling",
    "gamma": "γ",
    "merge": "merge-method",
    "benchmarks": "eval evals tasks questionnaires",
    # benchmarks
    "truthfulqa_mc2": "truthfulqa",
    "arc_challenge": "arc",
    "arc_easy": "arc",
    "commonsense_qa": "csqa",
    "social_iqa": "siqa",
    "ipip-neo-120": "ipip ipip-neo",
    "mini-ipip": "ipip",
    "linguistic": "liwc",
    # traits and levels
    "openness": "o",
    "conscientiousness": "c",
    "extraversion": "e extravert extrovert introvert introversion",
    "agreeableness": "a",
    "neuroticism": "n emotional-stability",
    "all": "big5 big-five ocean",
    "high": "hi positive",
    "low": "lo negative",
    # drawing answers
    "temperature": "temp",
    "max_new_tokens": "max-tokens",
    "repeats": "num-samples samples n",
    # methods
    "direct": "base baseline none",
    "sft": "finetune fine-tune fine-tuning lora",
    "dpo": "finetune fine-tune fine-tuning lora",
    "steer": "activation",
    "vector": "task-vector",
    "task_arithmetic": "task-vector ta",
    "dare": "dare-linear",
    "linear": "average mean soup",
}
"""Name in the language -> the words for it."""

ALIASES: dict[str, tuple[str, ...]] = {}
"""Word -> the names that it may stand for, the likeliest first."""

for _name, _words in _HABITS.items():
    for _word in _words.split():
        ALIASES[_word] = (*ALIASES.get(_word, ()), _name)
