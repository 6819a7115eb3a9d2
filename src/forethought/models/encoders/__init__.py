"""Encoders, token classifiers and reward models."""
