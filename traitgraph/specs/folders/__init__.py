"""What other programs write: models, lm-eval's tasks, tables, data sets. Must not know the language: no key, no preset.

Read by names and text as these programs read them; imports none but pyarrow, where a row of its formats is read.
"""
