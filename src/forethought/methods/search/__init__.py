"""Strategies that spend several passes on a question."""
