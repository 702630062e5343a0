"""What a study says: one module for each part of the language. Must not know how arms are checked together."""
