"""Strategies that spend several samples on a question."""
