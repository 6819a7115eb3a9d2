"""Reads published weights: checks stated values and shapes, and unpacks weight formats."""
