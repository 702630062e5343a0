"""Models that are steered while they run: activations shifted after a block, trait neurons turned up and off.

What is steered by is measured once by a job (`activations`, `neurons`) and applied by hooks; no weight is touched.
Must not know what the steered model is measured with.
"""
