"""Folders of other programs, read by names and text as they read them: models of transformers, tasks of lm-eval.

Imports neither program. Must not know the language: no key, no preset.
"""
