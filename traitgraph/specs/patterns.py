"""Shapes of texts that several models share, and that messages about them know."""

HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$"
DIGEST = r"^[0-9a-f]{32}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""An environment variable, or an importable package."""
