"""Forms in which a value may be written: axes, choices, names of presets, and how faults are told. Knows no arm."""
