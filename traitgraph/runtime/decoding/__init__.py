"""Decoding guided by an expert: DExperts and its additive form. Must not know what the dialogues are for."""
