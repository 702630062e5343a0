"""One document from a file, its `defaults:`, overrides and arms. Must not know what a key means."""
