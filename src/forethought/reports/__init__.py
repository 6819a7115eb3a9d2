"""Runs as text: panel, tables, strips. Data in, text out."""
