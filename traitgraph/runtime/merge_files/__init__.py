"""Merges without a study: recipes of ours and of mergekit. Must not know a study."""
