"""Base models: loading, templates, likelihood, generation. Must not know a subject."""
