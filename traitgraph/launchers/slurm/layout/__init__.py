"""Tasks as job arrays and their scripts, as pure functions. Must not submit."""
