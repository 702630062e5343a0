"""Folders of other programs: models of transformers, tasks of lm-eval. Must not know the language: no key, no preset.

Read by names and text as these programs read them; imports neither.
"""
