"""Decoding guided by an expert: DExperts and its additive form, with one copy of the weights where that can be.

Must not know what the written dialogues are for: training reads them, or a person.
"""

from .guided import Guidance, Reply, Sampling, combined_logits, guided_replies
from .models_in_step import Variant, VariantsInStep

__all__ = ["Guidance", "Reply", "Sampling", "Variant", "VariantsInStep", "combined_logits", "guided_replies"]
