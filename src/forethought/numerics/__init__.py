"""Numerics on numpy and scipy: estimators, intervals, votes, resampling, selection."""
