"""Procedures to follow step by step, with every state checked."""
