"""Decoding that an expert steers: DExperts and its additive variant, with one copy of the weights where that can be."""

from .combine import Steering, combined_logits
from .guided import Reply, Sampling, steered_replies
from .models_in_step import Ensemble, Voice

__all__ = ["Ensemble", "Reply", "Sampling", "Steering", "Voice", "combined_logits", "steered_replies"]
