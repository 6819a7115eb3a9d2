"""Scorers: they tell strategies how good answers and beginnings of answers are."""
