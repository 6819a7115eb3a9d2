"""Inference in worlds whose probabilities are known exactly."""
