"""Whole arms: read, held together, and told what is missing or without effect. Must not know a job."""
