"""Scorers: they score answers and partial answers for strategies."""
