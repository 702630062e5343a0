"""Bring a run into the queue, each task once. Must not wait for it."""
