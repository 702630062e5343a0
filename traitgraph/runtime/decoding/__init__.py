"""Decoding guided by an expert: DExperts and its additive form, with one copy of the weights where that can be.

Must not know what the written dialogues are for: training reads them, or a person.
"""
