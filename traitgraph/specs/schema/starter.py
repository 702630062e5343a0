"""The spec that `traitgraph init` writes: small, complete, with a comment on every choice, and checked by editors.

It names only what every machine has: the bundled model, a questionnaire of the public domain, prompts. So it runs as it
stands; what to add for training is in comments.
"""

from __future__ import annotations

SCHEMA_FILE = "traitgraph.schema.json"
"""Name under which `traitgraph init` puts the JSON Schema beside the spec."""

STARTER = """\
# yaml-language-server: $schema={schema}
# A study is one file: traitgraph check {name}.yaml finds faults, plan shows what would run, run runs it.
# Every key is described in docs/language.md of traitgraph, and by your editor while you type.
study: {name}
model: smollm2-135m            # a preset, a hub id (owner/name), a path (./folder, file.gguf), or a mapping
traits: [extraversion]         # or several, or: all
levels: [high, low]
benchmarks: [mini-ipip]        # administered to every subject
sampling: {{temperature: 0.6, repeats: 5}}
arms:                          # each arm overrides keys of the study
  base: {{method: direct}}
  told: {{method: {{kind: prompt, style: adjectives, intensity: [plain, very]}}}}
  # With dialogues of your own (one JSON object a line: prompt, reply, trait, level, split), train personality vectors:
  # scaled:
  #   method: vector
  #   data: dialogues.jsonl
  #   train: {{method: sft, learning_rate: 1e-3, epochs: 2, lora: {{rank: 16, alpha: 32}}}}
  #   alpha: {{from: 0.0, to: 2.0, step: 0.5}}
  #   benchmarks: [mini-ipip, reply_contrast]   # the contrast of held-out replies moves first in small models
"""


def starter_spec(name: str, schema: str = SCHEMA_FILE) -> str:
    """The text of a first spec for a study of that name, whose JSON Schema lies at `schema`, seen from the spec."""
    return STARTER.format(name=name, schema=schema)
