"""Beliefs: distributions over rates, scores, methods and judges, given stored records."""
