"""Recipes: spelling, validation, identity and grids."""
