"""Questionnaires: items, answers, scores. Must not know a judge."""
