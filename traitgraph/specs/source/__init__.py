"""Text to data: YAML with positions, messages and their codes, digests, the library of presets. Must not know a key."""
