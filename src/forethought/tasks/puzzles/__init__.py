"""Puzzles whose moves are checked one by one, at any size."""
