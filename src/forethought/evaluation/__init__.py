"""Evaluation: recipes on tasks, comparisons, forecasts, fitted plans."""
