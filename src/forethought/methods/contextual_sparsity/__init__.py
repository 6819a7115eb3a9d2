"""Decode steps that compute part of the MLP's neurons."""
