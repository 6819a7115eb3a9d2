"""Recipes: spelling, validation, identity, grids."""
