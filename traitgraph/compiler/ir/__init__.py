"""The intermediate form and what the passes share. Must not know a pass."""
