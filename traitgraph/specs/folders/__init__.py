"""What other programs write, read as they read it: models of transformers, tasks of lm-eval, tables and data sets.

Imports none of these programs, but pyarrow when a row of its formats is read. Must not know the language: no key, no
preset.
"""
