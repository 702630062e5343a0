"""The language told to others: JSON Schema, the reference, a first spec. Must not read a spec."""
