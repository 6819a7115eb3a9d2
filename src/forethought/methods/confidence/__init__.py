"""Confidence methods: scorers that say how likely an answer is right."""
