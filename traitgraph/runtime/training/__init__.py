"""Trained models: the libraries' trainers, checkpoints, validation. Must not know vectors."""
